import type { DataVersion } from '../../remoting/body/data-version.ts'
import {
  readTopicConfigTable,
  rowInWriting,
  type TopicConfig,
  type TopicConfigTable,
  topicConfig,
} from '../../remoting/body/topic-config.ts'
import { Perm } from '../../remoting/codes.ts'
import { writeJson } from '../../remoting/json.ts'
import { JoinedRows } from './joined-rows.ts'
import { isSystemTopic, TopicName } from './names.ts'
import { RateMeter } from './rate-meter.ts'
import { nextDataVersion, SavedTable, type TableDoors } from './saved-table.ts'

const readWrite = Perm.READ | Perm.WRITE
/** Topics that come into being by sending; beyond it producers must ask an admin. */
const autoCreatedMax = 100_000

/** What the table knows of a topic. Replaced whole when the config changes: compare configs, do not change them. */
export interface Topic {
  readonly config: TopicConfig
  readonly puts: RateMeter // messages stored
}

export interface TopicDefaults {
  clusterName: string
  brokerName: string
  autoCreateTopicEnable: boolean
  defaultTopicQueueNums: number
  clusterTopicEnable: boolean
  brokerTopicEnable: boolean
  traceTopicEnable: boolean
  msgTraceTopicName: string
  delayLevelMax: number
}

/** The topics of this broker, in topics.json. Source: Apache RocketMQ 5, TopicConfigManager. */
export class Topics {
  readonly #topics = new Map<string, Topic>()
  readonly #rows = new JoinedRows((name) => {
    const config = this.#topics.get(name)?.config
    return config && rowInWriting(config)
  })
  readonly #brokerTopics = new Set<string>() // system topics with names of this broker's own
  readonly #doors: TableDoors
  readonly #table: SavedTable
  readonly #defaults: TopicDefaults
  #dataVersion: DataVersion
  #onChange: (topic: string) => void = () => {}

  constructor(defaults: TopicDefaults, doors: TableDoors) {
    this.#defaults = defaults
    this.#doors = doors
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: doors.clock.now() }
    this.#table = new SavedTable(
      'topics.json',
      () => this.#rows.between(`{"dataVersion":${writeJson(this.#dataVersion)},"topicConfigTable":{`, '}}'),
      doors,
    )
    this.#load()
    this.#addSystemTopics()
  }

  /** listener is told the name of each topic that came, changed or went: the NameServers must hear of it. */
  onChange(listener: (topic: string) => void): void {
    this.#onChange = listener
  }

  get dataVersion(): DataVersion {
    return this.#dataVersion
  }

  find(topic: string): Topic | undefined {
    return this.#topics.get(topic)
  }

  names(): Iterable<string> {
    return this.#topics.keys()
  }

  all(): Iterable<Topic> {
    return this.#topics.values()
  }

  isSystem(topic: string): boolean {
    return isSystemTopic(topic) || this.#brokerTopics.has(topic)
  }

  systemTopics(): string[] {
    return [...this.#topics.keys()].filter((topic) => this.isSystem(topic))
  }

  /** Adds or replaces; resolves when that is on disk. @throws OperatingError FILE_FAILED */
  put(config: TopicConfig): Promise<void> {
    this.#set(config)
    return this.#changed(config.topicName)
  }

  /** Resolves when it is gone from disk too. @returns whether there was one */
  async delete(topic: string): Promise<boolean> {
    if (!this.#forget(topic)) return false
    await this.#changed(topic)
    return true
  }

  /**
   * Makes a topic that somebody sends to, after the template that the sender names (TBW102 as a rule).
   * @returns undefined when the template is missing or its perm says that it is not to be inherited
   */
  createBySending(topic: string, templateName: string, queueNums: number, topicSysFlag: number): Topic | undefined {
    const template = this.#topics.get(templateName)?.config
    if (template === undefined || (template.perm & Perm.INHERIT) === 0) {
      this.#doors.log.debug({ topic, template: templateName }, 'topic not created: its template may not be inherited')
      return undefined
    }
    if (this.#topics.size >= autoCreatedMax) {
      this.#doors.log.debug({ topic, autoCreatedMax }, 'topic not created: there are too many')
      return undefined
    }
    const queues = Math.max(0, Math.min(queueNums, template.writeQueueNums))
    return this.#create({
      ...plainTopic(topic, queues, template.perm & ~Perm.INHERIT),
      topicFilterType: template.topicFilterType,
      topicSysFlag,
    })
  }

  /** Makes a topic of the broker's own (retry, dead letters) where it is missing. */
  ensure(topic: string, queues: number, topicSysFlag = 0): Topic {
    return this.#topics.get(topic) ?? this.#create({ ...plainTopic(topic, queues), topicSysFlag })
  }

  /** brokerPermission is part of what NameServers are told: they must take the table for a new one. */
  bumpDataVersion(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#doors.clock.now())
    void this.#table.changed()
  }

  /** The NameServer keeps an order for these. One that it does not name may still be ordered: an admin said so here. */
  markOrdered(names: Iterable<string>): void {
    for (const name of names) {
      const config = this.#topics.get(name)?.config
      if (config !== undefined && !config.order) void this.put({ ...config, order: true })
    }
  }

  /** Becomes the table of the master whose slave this is. */
  replaceAll({ dataVersion, topicConfigTable }: TopicConfigTable): void {
    const changed = [...this.#topics.keys()].filter((name) => !topicConfigTable.has(name))
    for (const name of changed) this.#forget(name)
    for (const [name, config] of topicConfigTable) {
      const known = this.#topics.get(name)?.config
      if (known !== undefined && JSON.stringify(known) === JSON.stringify(config)) continue
      this.#set(config)
      changed.push(name)
    }
    this.#dataVersion = dataVersion
    void this.#table.changed()
    for (const name of changed) this.#onChange(name)
  }

  /** As topics.json and GET_ALL_TOPIC_CONFIG have it. */
  toTable(): TopicConfigTable {
    const topicConfigTable = new Map<string, TopicConfig>()
    for (const { config } of this.#topics.values()) topicConfigTable.set(config.topicName, config)
    return { dataVersion: this.#dataVersion, topicConfigTable }
  }

  saveIfDirty(): void {
    this.#table.saveIfDirty()
  }

  #create(config: TopicConfig): Topic {
    const topic = this.#set(config)
    void this.#changed(config.topicName) // the message waits for its own flush: an unsaved topic is made again
    this.#doors.log.info(
      { topic: config.topicName, writeQueueNums: config.writeQueueNums, perm: config.perm },
      'topic created',
    )
    return topic
  }

  #changed(topic: string): Promise<void> {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#doors.clock.now())
    const saved = this.#table.changed()
    this.#onChange(topic)
    return saved
  }

  #set(config: TopicConfig): Topic {
    const topic = { config, puts: this.#topics.get(config.topicName)?.puts ?? new RateMeter() }
    this.#topics.set(config.topicName, topic)
    this.#rows.changed(config.topicName)
    return topic
  }

  #forget(topic: string): boolean {
    this.#rows.changed(topic)
    return this.#topics.delete(topic)
  }

  #load(): void {
    const { storage, log } = this.#doors
    const saved = storage.load('topics.json')
    if (saved === undefined) return
    const { dataVersion, topicConfigTable } = readTopicConfigTable(saved)
    this.#dataVersion = dataVersion
    for (const config of topicConfigTable.values()) this.#set(config)
    log.info({ topics: this.#topics.size }, 'topics loaded')
  }

  /** wire.md 5.4: those that are missing; their settings decide again at each start. */
  #addSystemTopics(): void {
    const { clusterName, brokerName, ...defaults } = this.#defaults
    this.#addSystemTopic(TopicName.SELF_TEST, 1)
    if (defaults.autoCreateTopicEnable) {
      this.#addSystemTopic(TopicName.AUTO_CREATE, defaults.defaultTopicQueueNums, readWrite | Perm.INHERIT)
    } else {
      this.#forget(TopicName.AUTO_CREATE)
    }
    this.#addSystemTopic(TopicName.BENCHMARK, 1024)
    this.#addSystemTopic(clusterName, 16, Perm.INHERIT | (defaults.clusterTopicEnable ? readWrite : 0))
    this.#addSystemTopic(brokerName, 1, Perm.INHERIT | (defaults.brokerTopicEnable ? readWrite : 0))
    this.#addSystemTopic(TopicName.OFFSET_MOVED_EVENT, 1)
    this.#addSystemTopic(TopicName.SCHEDULE, defaults.delayLevelMax)
    if (defaults.traceTopicEnable) this.#addSystemTopic(defaults.msgTraceTopicName, 1)
    this.#addSystemTopic(`${clusterName}_REPLY_TOPIC`, 1)
    this.#addSystemTopic(`rmq_sys_REVIVE_LOG_${clusterName}`, 8)
    this.#addSystemTopic(`rmq_sys_SYNC_BROKER_MEMBER_${brokerName}`, 1, Perm.INHERIT)
    this.#addSystemTopic(TopicName.TRANS_HALF, 1)
    this.#addSystemTopic(TopicName.TRANS_OP_HALF, 1)
    this.#addSystemTopic(TopicName.ROCKSDB_TRANS_HALF, 1)
    this.#addSystemTopic(TopicName.ROCKSDB_TRANS_OP_HALF, 1)
    this.#addSystemTopic(TopicName.WHEEL_TIMER, 1)
    void this.#table.changed()
  }

  #addSystemTopic(name: string, queues: number, perm: number = readWrite): void {
    this.#brokerTopics.add(name)
    const known = this.#topics.get(name)?.config
    this.#set({ ...plainTopic(name, queues, perm), ...(known && { attributes: known.attributes }) })
  }
}

function plainTopic(topicName: string, queues: number, perm: number = readWrite): TopicConfig {
  return topicConfig(topicName, { readQueueNums: queues, writeQueueNums: queues, perm })
}
