import type { Clock, Timer } from '../../base/clock.ts'
import { isOperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { KeyIndex } from './key-index/key-index.ts'

/** In Apache's meanings; live: they may change between two rounds. */
export interface RetentionSettings {
  fileReservedHours: number // fileReservedTime
  deleteWhen: string // hours of the day, local time, separated by ;
  diskMaxUsedSpaceRatio: number // 0..1: above it expired segments go at any hour
  diskSpaceCleanForciblyRatio: number // 0..1: above it the oldest segments go, expired or not
  cleanFileForciblyEnable: boolean
  deleteFileBatchMax: number // segments of one round
}

/** Of a segment: from the log's volume and the clock follows which may go. */
export type Cleaning = 'nothing' | 'expired' | 'oldest'

const roundEveryMs = 10_000
/** The first round comes later: a broker that has just started has other things to do. */
const firstRoundAfterMs = 60_000
const hourMs = 3_600_000
/** Rounds that an admin's request brings. */
const manualRounds = 20

/** Source: Apache RocketMQ 5, CleanCommitLogService#deleteExpiredFiles. */
export function cleaningOf(
  settings: RetentionSettings,
  { usedRatio, hour, isManual }: { usedRatio: number; hour: number; isManual: boolean },
): Cleaning {
  const { deleteWhen, diskMaxUsedSpaceRatio, diskSpaceCleanForciblyRatio, cleanFileForciblyEnable } = settings
  if (usedRatio > diskSpaceCleanForciblyRatio) return cleanFileForciblyEnable ? 'oldest' : 'expired'
  const isTime = deleteWhen.split(';').some((text) => text.trim() !== '' && Number(text) === hour)
  return isTime || isManual || usedRatio > diskMaxUsedSpaceRatio ? 'expired' : 'nothing'
}

/**
 * How many of the oldest segments go.
 * @param ages oldest first; modifiedAt is when it was last written
 * @param safeTo segments that end behind it stay: something there is still being written
 */
export function countToRemove(
  cleaning: Cleaning,
  ages: readonly { start: number; modifiedAt: number }[],
  {
    now,
    segmentBytes,
    safeTo,
    settings,
  }: { now: number; segmentBytes: number; safeTo: number; settings: RetentionSettings },
): number {
  if (cleaning === 'nothing') return 0
  const expiredBefore = now - settings.fileReservedHours * hourMs
  let count = 0
  for (const { start, modifiedAt } of ages) {
    const mayGo = start + segmentBytes <= safeTo && (cleaning === 'oldest' || modifiedAt <= expiredBefore)
    if (!mayGo || count >= settings.deleteFileBatchMax || count >= ages.length - 1) break
    count++
  }
  return count
}

export interface RetentionParts {
  commitLog: CommitLog
  queues: ConsumeQueues
  index: KeyIndex | undefined
  diskGuard: DiskGuard
  settings: () => RetentionSettings
  /** What lies below it is flushed, dispatched and in a checkpoint. */
  safeTo: () => number
  clock: Clock
  log: Log
}

/**
 * Removes segments by age and when the volume is full, oldest first, then what queues and index say about them. A crash at
 * any point leaves a shorter log, to which the next start fits the others.
 */
export class Retention {
  readonly #parts: RetentionParts
  readonly #timers: Timer[] = []
  #manualRounds = 0
  #cleaning: Promise<void> | undefined
  #isClosed = false

  constructor(parts: RetentionParts) {
    this.#parts = parts
    const { clock } = parts
    const first = clock.after(firstRoundAfterMs, () => {
      this.#start()
      const every = clock.every(roundEveryMs, () => this.#start())
      every.unref()
      this.#timers.push(every)
    })
    first.unref()
    this.#timers.push(first)
  }

  /** Expired segments go now, and in the next rounds, whatever the hour. */
  startManually(): void {
    this.#manualRounds = manualRounds
    this.#start()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const timer of this.#timers) timer.cancel()
    await this.#cleaning
  }

  #start(): void {
    if (this.#isClosed) return
    this.#cleaning ??= this.#round()
      .catch((error) => {
        if (!isOperatingError(error)) throw error
        this.#parts.log.error({ err: error }, 'old files of the store cannot be removed: trying again')
      })
      .finally(() => {
        this.#cleaning = undefined
      })
  }

  async #round(): Promise<void> {
    const { commitLog, diskGuard, clock, log, safeTo } = this.#parts
    const { segments } = commitLog
    const settings = this.#parts.settings()
    diskGuard.look()
    await segments.removeCondemned()
    const isManual = this.#manualRounds > 0
    if (isManual) this.#manualRounds--
    const { usedRatio } = diskGuard
    const cleaning = cleaningOf(settings, { usedRatio, hour: new Date(clock.now()).getHours(), isManual })
    const facts = { now: clock.now(), segmentBytes: segments.segmentBytes, safeTo: safeTo(), settings }
    const count = cleaning === 'nothing' ? 0 : countToRemove(cleaning, segments.ages(), facts)
    for (let removed = 0; removed < count && !this.#isClosed; removed++) await segments.removeFirst()
    if (count === 0) return
    const { minOffset } = segments
    log.info({ cleaning, segments: count, minOffset, usedRatio }, 'segments removed')
    await this.#parts.queues.trim(minOffset)
    this.#parts.index?.removeExpired(minOffset)
    diskGuard.look() // writes are taken again as soon as there is room
  }
}
