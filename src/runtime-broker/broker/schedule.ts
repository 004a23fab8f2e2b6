import { BrokenRule } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { type DataVersion, readDataVersion } from '../../remoting/body/data-version.ts'
import { Fields, integerItem, integerKey } from '../../remoting/body/fields.ts'
import { writeJson } from '../../remoting/json.ts'
import {
  decodeMessages,
  encodeHost,
  formatProperties,
  PropertyName,
  type StoredMessage,
  tagsCodeOf,
} from '../../remoting/message/index.ts'
import type { MessageStore, NewMessage, SettleStatus } from '../store/index.ts'
import type { DelayLevels } from './delay-levels.ts'
import { withHostFlags } from './host-flags.ts'
import { TopicName } from './names.ts'
import { setProperties } from './property-text.ts'
import { nextDataVersion, SavedTable, type TableDoors } from './saved-table.ts'

/** Of one read of a level's queue. */
const batchCountMax = 32
const batchBytesMax = 1024 * 1024
const retryDelayMs = 1_000
/** A level looks again at least this often, so that a clock that was set forward is noticed. */
const sleepMsMax = 60_000

/**
 * Redirects a message to the queue of its delay level: the schedule topic holds it until it is due.
 * Its place in the consume queue carries the deliver time instead of the tag's hash.
 * @param level from 1 to levels.max
 */
export function toSchedule(message: NewMessage, level: number, levels: DelayLevels, now: number): NewMessage {
  return {
    ...message,
    topic: TopicName.SCHEDULE,
    queueId: level - 1,
    tagsCode: now + levels.delayMs(level),
    properties: setProperties(message.properties, [
      [PropertyName.REAL_TOPIC, message.topic],
      [PropertyName.REAL_QUEUE_ID, String(message.queueId)],
    ]),
  }
}

export interface DelayOffsets {
  dataVersion: DataVersion
  offsetTable: ReadonlyMap<number, number> // level → next queueOffset
}

export function readDelayOffsets(saved: unknown): DelayOffsets {
  const fields = new Fields('delayOffset.json', saved ?? {})
  const offsets = fields.table('offsetTable', integerItem('delayOffset.json'))
  return {
    dataVersion: readDataVersion(fields.fields('dataVersion').value),
    offsetTable: new Map(
      [...offsets].map(([level, queueOffset]) => [integerKey('delayOffset.json', level), queueOffset]),
    ),
  }
}

interface Level {
  readonly level: number
  queueOffset: number // next message to deliver
  timer: Timer | undefined
  isBusy: boolean // a batch is being read or stored
}

/** Delivers delayed messages when they are due; progress is in delayOffset.json. Source: Apache RocketMQ 5, ScheduleMessageService. */
export class Schedule {
  readonly #levels: readonly Level[]
  readonly #delays: DelayLevels
  readonly #store: MessageStore
  readonly #storeHost: Buffer
  readonly #clock: Clock
  readonly #log: Log
  readonly #table: SavedTable
  #dataVersion: DataVersion
  #isStarted = false
  #isClosed = false

  constructor(delays: DelayLevels, store: MessageStore, storeHost: Buffer, doors: TableDoors) {
    this.#delays = delays
    this.#store = store
    this.#storeHost = storeHost
    this.#clock = doors.clock
    this.#log = doors.log
    this.#table = new SavedTable('delayOffset.json', () => writeJson(this.toTable()), doors)
    const saved = readDelayOffsets(doors.storage.load('delayOffset.json'))
    this.#dataVersion = saved.dataVersion
    this.#levels = Array.from({ length: delays.max }, (_, index) => {
      return { level: index + 1, queueOffset: saved.offsetTable.get(index + 1) ?? 0, timer: undefined, isBusy: false }
    })
  }

  start(): void {
    this.#isStarted = true
    for (const level of this.#levels) this.#run(level)
  }

  /** A message of the schedule topic became readable. */
  arrived(queueId: number): void {
    if (!this.#isStarted) return
    const level = this.#levels[queueId]
    if (level !== undefined && level.timer === undefined && !level.isBusy) this.#run(level)
  }

  close(): void {
    this.#isClosed = true
    for (const level of this.#levels) level.timer?.cancel()
  }

  /** @throws OperatingError FILE_FAILED */
  saveIfDirty(): void {
    this.#table.saveIfDirty()
  }

  /** As GET_ALL_DELAY_OFFSET and delayOffset.json have it: level → next queueOffset. */
  toTable(): DelayOffsets {
    const started = this.#levels.filter(({ queueOffset }) => queueOffset > 0)
    return {
      dataVersion: this.#dataVersion,
      offsetTable: new Map(started.map(({ level, queueOffset }) => [level, queueOffset])),
    }
  }

  /**
   * The progress of the master whose slave this is; this schedule is not started. Its version tells nothing: Apache's master
   * counts 200 steps before it gives the table another one.
   */
  take({ dataVersion, offsetTable }: DelayOffsets): void {
    this.#dataVersion = dataVersion
    for (const level of this.#levels) {
      const queueOffset = offsetTable.get(level.level) ?? level.queueOffset
      if (queueOffset === level.queueOffset) continue
      level.queueOffset = queueOffset
      this.#table.markDirty()
    }
  }

  /** Per level that has been used: how far it is, and its queue's end. */
  progress(): { level: number; queueOffset: number; maxOffset: number }[] {
    return this.#levels
      .map(({ level, queueOffset }) => ({
        level,
        queueOffset,
        maxOffset: this.#store.maxOffset(TopicName.SCHEDULE, level - 1),
      }))
      .filter(({ maxOffset }) => maxOffset > 0)
  }

  #run(level: Level): void {
    level.timer = undefined
    level.isBusy = true
    this.#deliverDue(level).then(
      (waitMs) => this.#sleep(level, waitMs),
      (error: unknown) => {
        if (error instanceof BrokenRule) throw error
        this.#log.warn(
          { delayLevel: level.level, err: messageOf(error) },
          'delayed messages not delivered: trying again',
        )
        this.#sleep(level, retryDelayMs)
      },
    )
  }

  /** undefined: until the next arrival. */
  #sleep(level: Level, waitMs: number | undefined): void {
    level.isBusy = false
    if (this.#isClosed) return
    if (waitMs !== undefined) level.timer = this.#clock.after(Math.min(waitMs, sleepMsMax), () => this.#run(level))
    else if (this.#store.maxOffset(TopicName.SCHEDULE, level.level - 1) > level.queueOffset) this.#run(level)
  }

  /** @returns ms until the next message is due; undefined when none waits */
  async #deliverDue(level: Level): Promise<number | undefined> {
    while (!this.#isClosed) {
      const turn = this.#turn() // reading and storing may need no wait: others would have none of the time while much is due
      const read = await this.#store.read(TopicName.SCHEDULE, level.level - 1, level.queueOffset, {
        countMax: batchCountMax,
        bytesMax: batchBytesMax,
      })
      if (read.status !== 'found') {
        if (read.nextBeginOffset === level.queueOffset || read.maxOffset === 0) return undefined
        this.#advance(level, read.nextBeginOffset) // the log was trimmed, or units are gone
        await turn
        continue
      }
      const messages = read.bodies.flatMap((body) => decodeMessages(body))
      const now = this.#clock.now()
      const notDue = messages.findIndex((message) => this.#dueAt(message, level, now) > now)
      const due = notDue < 0 ? messages : messages.slice(0, notDue)
      if (due.length > 0) {
        await Promise.all(due.map((message) => this.#deliver(message)))
        this.#advance(level, due.at(-1)!.queueOffset + 1)
      }
      if (notDue >= 0) return this.#dueAt(messages[notDue]!, level, now) - now
      await turn
    }
    return undefined
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.endOfTurn(resolve))
  }

  /** A deliver time further away than the whole delay comes from a clock that was wrong: due now. */
  #dueAt({ storeTimestamp }: StoredMessage, { level }: Level, now: number): number {
    const delayMs = this.#delays.delayMs(level)
    const dueAt = storeTimestamp + delayMs
    return dueAt > now + delayMs ? now : dueAt
  }

  #advance(level: Level, queueOffset: number): void {
    level.queueOffset = queueOffset
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#clock.now())
    this.#table.markDirty()
  }

  #deliver(scheduled: StoredMessage): Promise<void> {
    const topic = scheduled.properties.get(PropertyName.REAL_TOPIC)
    const queueId = Number(scheduled.properties.get(PropertyName.REAL_QUEUE_ID))
    if (topic === undefined || !Number.isInteger(queueId) || queueId < 0) {
      this.#log.error({ phyOffset: scheduled.phyOffset }, 'a delayed message does not say where it belongs: skipped')
      return Promise.resolve()
    }
    const bornHost = encodeHost(scheduled.bornHost)
    return stored(this.#store, {
      topic,
      queueId,
      flag: scheduled.flag,
      sysFlag: withHostFlags(scheduled.sysFlag, bornHost, this.#storeHost),
      bornTimestamp: scheduled.bornTimestamp,
      bornHost,
      storeHost: this.#storeHost,
      reconsumeTimes: scheduled.reconsumeTimes,
      preparedTransactionOffset: 0,
      body: scheduled.body,
      properties: formatProperties(scheduled.properties),
      tagsCode: tagsCodeOf(scheduled.properties.get(PropertyName.TAGS)),
      waitsForFlush: true, // progress is saved later: what it passed must be as safe as the first copy
    })
  }
}

/** Resolves when the message is stored. A flush that takes too long is no failure: the message is in the log. */
export function stored(store: MessageStore, message: NewMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    store.append(message, {
      settle(status: SettleStatus, error?: Error) {
        if (status === 'failed') reject(error)
        else resolve()
      },
    })
  })
}
