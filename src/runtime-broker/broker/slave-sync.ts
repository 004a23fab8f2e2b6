import { BrokenRule } from '../../base/assert.ts'
import type { Timer } from '../../base/clock.ts'
import type { Doors } from '../../base/doors.ts'
import { messageOf, OperatingError } from '../../base/errors.ts'
import { readConsumerOffsetTable } from '../../remoting/body/consumer-offset-table.ts'
import { type DataVersion, isSameDataVersion } from '../../remoting/body/data-version.ts'
import { readMasterMaxOffset } from '../../remoting/body/ha-status.ts'
import { readSubscriptionGroupTable, type SubscriptionGroupConfig } from '../../remoting/body/subscription-group.ts'
import { readTopicConfigTable, type TopicConfig } from '../../remoting/body/topic-config.ts'
import { RemotingClient } from '../../remoting/client.ts'
import type { ClientTls } from '../../remoting/client-tls.ts'
import { RequestCode, ResponseCode } from '../../remoting/codes.ts'
import type { Command } from '../../remoting/command.ts'
import { readJson } from '../../remoting/json.ts'
import type { ConsumerOffsets } from './consumer-offsets.ts'
import type { Groups } from './groups.ts'
import type { Replication } from './replication.ts'
import { readDelayOffsets, type Schedule } from './schedule.ts'
import type { Topics } from './topics.ts'

/** How often the master is asked how far its log is. */
const lookPeriodMs = 3_000
/** How often it is asked for its tables. Apache's slave asks every 60 s, and knows no new topic until then. */
const tablesPeriodMs = 10_000
/** While no master is known it is asked for: at first so soon, then ever later. */
const seekPauseMs = 1_000
const seekPauseMsMax = 4_000
const tableTimeoutMs = 30_000
const callTimeoutMs = 3_000
/** Pages of one table, of a master that splits it. */
const pagesMax = 10_000

interface Tables {
  topics: Topics
  groups: Groups
  consumerOffsets: ConsumerOffsets
  schedule: Schedule
}

/**
 * Keeps a slave's tables those of its master: topics, consumer groups, consumer offsets, progress of delayed messages.
 * Source: Apache RocketMQ 5, SlaveSynchronize.
 */
export class SlaveSync {
  readonly #tables: Tables
  readonly #replication: Replication
  readonly #doors: Pick<Doors, 'clock' | 'network' | 'log'>
  readonly #client: RemotingClient
  #masterAddr: string | undefined
  #timer: Timer | undefined
  #seekTimer: Timer | undefined
  #isBusy = false
  #tablesDueMs = 0
  #isFailing = false
  readonly #topicsSeen = new VersionSeen()
  readonly #groupsSeen = new VersionSeen()

  /** @param tls how it speaks with the master */
  constructor(
    tables: Tables,
    replication: Replication,
    doors: Pick<Doors, 'clock' | 'network' | 'log'>,
    tls?: ClientTls,
  ) {
    this.#tables = tables
    this.#replication = replication
    this.#doors = doors
    this.#client = new RemotingClient({ tls }, doors)
  }

  /** @param askForMaster asks the NameServers for the master; called while none is known, as it may just be starting */
  start(askForMaster: () => void): void {
    this.#timer = this.#doors.clock.every(lookPeriodMs, () => void this.#look())
    this.#seek(askForMaster, seekPauseMs)
  }

  /** host:port of the master's main port. */
  follow(masterAddr: string): void {
    if (masterAddr === this.#masterAddr) return
    this.#doors.log.info({ masterAddr, before: this.#masterAddr }, 'the master is here')
    this.#masterAddr = masterAddr
    this.#tablesDueMs = 0
    void this.#look()
  }

  async close(): Promise<void> {
    this.#timer?.cancel()
    this.#seekTimer?.cancel()
    await this.#client.close()
  }

  #seek(askForMaster: () => void, pauseMs: number): void {
    this.#seekTimer = this.#doors.clock.after(pauseMs, () => {
      if (this.#masterAddr !== undefined) return
      askForMaster()
      this.#seek(askForMaster, Math.min(seekPauseMsMax, 2 * pauseMs))
    })
  }

  async #look(): Promise<void> {
    const masterAddr = this.#masterAddr
    if (masterAddr === undefined || this.#isBusy) return
    this.#isBusy = true
    const { log, clock } = this.#doors
    try {
      await this.#lookAtLog(masterAddr)
      if (clock.monotonicMs() >= this.#tablesDueMs) {
        await this.#copyTables(masterAddr)
        this.#tablesDueMs = clock.monotonicMs() + tablesPeriodMs
      }
      if (this.#isFailing) log.info({ masterAddr }, 'the master’s tables can be copied again')
      this.#isFailing = false
    } catch (error) {
      if (error instanceof BrokenRule) throw error
      const fields = { masterAddr, err: messageOf(error) }
      if (this.#isFailing) log.debug(fields, 'the master’s tables cannot be copied')
      else log.warn(fields, 'the master’s tables cannot be copied: trying again every 3 s')
      this.#isFailing = true
    } finally {
      this.#isBusy = false
    }
  }

  async #lookAtLog(masterAddr: string): Promise<void> {
    const { body } = await this.#ask(masterAddr, RequestCode.GET_BROKER_HA_STATUS, callTimeoutMs)
    const { slave } = this.#replication
    if (slave === undefined) return
    this.#replication.lagBytes = Math.max(0, readMasterMaxOffset(body) - slave.maxOffset)
  }

  /** In an order in which what refers to something comes after it. */
  async #copyTables(masterAddr: string): Promise<void> {
    const { topics, groups, consumerOffsets, schedule } = this.#tables
    await this.#copyTopics(masterAddr, topics)
    await this.#copyGroups(masterAddr, groups)
    const offsets = await this.#ask(masterAddr, RequestCode.GET_ALL_CONSUMER_OFFSET, callTimeoutMs)
    consumerOffsets.take(readConsumerOffsetTable(readJson(offsets.body)))
    const delays = await this.#ask(masterAddr, RequestCode.GET_ALL_DELAY_OFFSET, callTimeoutMs)
    schedule.take(readDelayOffsets(readJson(delays.body)))
  }

  async #copyTopics(masterAddr: string, topics: Topics): Promise<void> {
    const configs = new Map<string, TopicConfig>()
    const table = await this.#askAll(
      masterAddr,
      RequestCode.GET_ALL_TOPIC_CONFIG,
      ['topicSeq', 'maxTopicNum', 'totalTopicNum'],
      {
        read: readTopicConfigTable,
        add: ({ topicConfigTable }) => addAll(configs, topicConfigTable),
        clear: () => configs.clear(),
        isDone: ({ dataVersion }) => this.#topicsSeen.isSettled(dataVersion, topics.dataVersion),
      },
    )
    if (this.#topicsSeen.isSettled(table.dataVersion, topics.dataVersion)) return
    this.#topicsSeen.note(table.dataVersion)
    topics.replaceAll({ dataVersion: table.dataVersion, topicConfigTable: configs })
    this.#doors.log.info({ masterAddr, topics: configs.size }, 'topics copied from the master')
  }

  async #copyGroups(masterAddr: string, groups: Groups): Promise<void> {
    const configs = new Map<string, SubscriptionGroupConfig>()
    const forbidden: Record<string, unknown> = {}
    const table = await this.#askAll(
      masterAddr,
      RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
      ['groupSeq', 'maxGroupNum', 'totalGroupNum'],
      {
        read: (value) => ({ ...readSubscriptionGroupTable(value), forbiddenTable: forbiddenTableOf(value) }),
        add: ({ subscriptionGroupTable, forbiddenTable }) => {
          Object.assign(forbidden, forbiddenTable)
          return addAll(configs, subscriptionGroupTable)
        },
        clear: () => configs.clear(),
        isDone: ({ dataVersion }) => this.#groupsSeen.isSettled(dataVersion, groups.dataVersion),
      },
    )
    if (this.#groupsSeen.isSettled(table.dataVersion, groups.dataVersion)) return
    this.#groupsSeen.note(table.dataVersion)
    groups.replaceAll({ dataVersion: table.dataVersion, subscriptionGroupTable: configs, forbiddenTable: forbidden })
    this.#doors.log.info({ masterAddr, groups: configs.size }, 'consumer groups copied from the master')
  }

  /** A table that comes in pages, when the master has it so; all of one version. @returns its last page */
  async #askAll<T extends { dataVersion: Parameters<typeof isSameDataVersion>[0] }>(
    masterAddr: string,
    code: number,
    [seqKey, maxKey, totalKey]: readonly [string, string, string],
    table: {
      read(value: unknown): T
      /** @returns how many entries the page had */
      add(page: T): number
      clear(): void
      /** The first page says that there is nothing new. */
      isDone(page: T): boolean
    },
  ): Promise<T> {
    let seq = 0
    let first: T | undefined
    for (let page = 0; page < pagesMax; page++) {
      const extFields = {
        [seqKey]: String(seq),
        [maxKey]: String(0x7fffffff),
        dataVersion: first === undefined ? '' : JSON.stringify(first.dataVersion),
      }
      const answer = await this.#ask(masterAddr, code, tableTimeoutMs, extFields)
      const got = table.read(readJson(answer.body))
      if (first !== undefined && !isSameDataVersion(first.dataVersion, got.dataVersion)) {
        seq = 0
        first = undefined
        table.clear()
        continue
      }
      first ??= got
      if (table.isDone(got)) return got
      const count = table.add(got)
      seq += count
      const total = answer.extFields[totalKey]
      if (total === undefined || count === 0 || seq >= Number(total)) return got
    }
    throw new OperatingError('BODY_INVALID', { code, pagesMax, why: 'the table changes all the time, or has no end' })
  }

  async #ask(
    masterAddr: string,
    code: number,
    timeoutMs: number,
    extFields: Record<string, string> = {},
  ): Promise<Command> {
    const answer = await this.#client.call(masterAddr, { code, extFields }, timeoutMs)
    if (answer.code === ResponseCode.SUCCESS) return answer
    throw new OperatingError('REQUEST_REFUSED', { request: code, code: answer.code, remark: answer.remark })
  }
}

/**
 * Which version of a table was copied, and how often. Apache's master reads the table first and its version afterwards: a
 * change between the two comes with a version that it does not belong to. So each version is copied twice, in two rounds.
 */
class VersionSeen {
  #version: DataVersion | undefined
  #count = 0

  /** @returns true: this version is ours already, and nothing of it can be missing */
  isSettled(version: DataVersion, ours: DataVersion): boolean {
    const isOurs = isSameDataVersion(version, ours)
    return isOurs && this.#version !== undefined && isSameDataVersion(version, this.#version) && this.#count > 1
  }

  note(version: DataVersion): void {
    const isKnown = this.#version !== undefined && isSameDataVersion(version, this.#version)
    this.#count = isKnown ? this.#count + 1 : 1
    this.#version = version
  }
}

function addAll<V>(into: Map<string, V>, from: ReadonlyMap<string, V>): number {
  for (const [name, value] of from) into.set(name, value)
  return from.size
}

function forbiddenTableOf(value: unknown): object {
  return (value as { forbiddenTable?: object } | null)?.forbiddenTable ?? {}
}
