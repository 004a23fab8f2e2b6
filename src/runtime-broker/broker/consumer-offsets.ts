import { type ConsumerOffsetTable, readConsumerOffsetTable } from '../../remoting/body/consumer-offset-table.ts'
import type { DataVersion } from '../../remoting/body/data-version.ts'
import { writeJson } from '../../remoting/json.ts'
import { nextDataVersion, SavedTable, type TableDoors } from './saved-table.ts'

/** Queues with a stored offset, over all topics and groups; a commit for one more is refused. */
const queueCountMax = 5_000_000
const separator = '@'

interface GroupOffsets {
  readonly topic: string
  readonly consumerGroup: string
  readonly committed: Map<number, number> // queueId → next queueOffset to consume
  readonly pulled: Map<number, number> // queueId → next queueOffset to hand out; in memory only
  readonly resets: Map<number, number> // queueId → where the next pull is to be sent
}

/** How far each group has consumed each queue, in consumerOffset.json. Source: Apache RocketMQ 5, ConsumerOffsetManager. */
export class ConsumerOffsets {
  readonly #byTopicAndGroup = new Map<string, GroupOffsets>()
  readonly #topicsByGroup = new Map<string, Set<string>>()
  readonly #groupsByTopic = new Map<string, Set<string>>()
  readonly #doors: TableDoors
  readonly #table: SavedTable
  #queueCount = 0
  #dataVersion: DataVersion

  constructor(doors: TableDoors) {
    this.#doors = doors
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: doors.clock.now() }
    this.#table = new SavedTable('consumerOffset.json', () => writeJson(this.toTable()), doors)
    this.#load()
  }

  /**
   * Stores a consumerOffset; lower than before is fine (a consumer went back), while a reset is pending nothing is.
   * @returns false: not stored, the table is full or a reset is pending
   */
  commit(topic: string, consumerGroup: string, queueId: number, consumerOffset: number): boolean {
    const offsets = this.#of(topic, consumerGroup)
    if (offsets.resets.has(queueId)) return false
    return this.#commit(offsets, queueId, consumerOffset)
  }

  /** @returns -1 when nothing is stored; -1 may have been stored too (the Go client does) */
  committed(topic: string, consumerGroup: string, queueId: number): number {
    return this.#find(topic, consumerGroup)?.committed.get(queueId) ?? -1
  }

  /** The group `to` goes on in a topic where `from` is. */
  clone(topic: string, from: string, to: string): void {
    const committed = this.#find(topic, from)?.committed ?? []
    for (const [queueId, consumerOffset] of [...committed]) this.commit(topic, to, queueId, consumerOffset)
  }

  notePull(topic: string, consumerGroup: string, queueId: number, queueOffset: number): void {
    this.#of(topic, consumerGroup).pulled.set(queueId, queueOffset)
  }

  /** -1: not pulled since this broker started. */
  pulled(topic: string, consumerGroup: string, queueId: number): number {
    return this.#find(topic, consumerGroup)?.pulled.get(queueId) ?? -1
  }

  /** The queue's next pull will be sent to queueOffset, and commits are ignored until then. */
  reset(topic: string, consumerGroup: string, queueId: number, queueOffset: number): void {
    const offsets = this.#of(topic, consumerGroup)
    offsets.resets.set(queueId, queueOffset)
    offsets.pulled.delete(queueId) // what was handed out is to be consumed again
    this.#commit(offsets, queueId, queueOffset)
  }

  hasReset(topic: string, consumerGroup: string, queueId: number): boolean {
    return this.#find(topic, consumerGroup)?.resets.has(queueId) ?? false
  }

  /** The pending reset, which ends by this. */
  takeReset(topic: string, consumerGroup: string, queueId: number): number | undefined {
    const offsets = this.#find(topic, consumerGroup)
    const queueOffset = offsets?.resets.get(queueId)
    if (queueOffset !== undefined) offsets!.resets.delete(queueId)
    return queueOffset
  }

  /** Topics of which the group has committed an offset. */
  topicsOf(consumerGroup: string): string[] {
    const topics = [...(this.#topicsByGroup.get(consumerGroup) ?? [])]
    return topics.filter((topic) => (this.#find(topic, consumerGroup)?.committed.size ?? 0) > 0)
  }

  /** Groups that have committed an offset of the topic. */
  groupsOf(topic: string): string[] {
    const groups = [...(this.#groupsByTopic.get(topic) ?? [])]
    return groups.filter((consumerGroup) => (this.#find(topic, consumerGroup)?.committed.size ?? 0) > 0)
  }

  forgetTopic(topic: string): void {
    this.#forget((offsets) => offsets.topic === topic)
  }

  forgetGroup(consumerGroup: string): void {
    this.#forget((offsets) => offsets.consumerGroup === consumerGroup)
  }

  /**
   * Offsets of the master whose slave this is: what it says counts, lower or higher; what it does not name stays. Its version
   * tells nothing: Apache's master counts 500 commits before it gives the table another one.
   */
  take(table: ConsumerOffsetTable): void {
    this.#dataVersion = table.dataVersion
    if (this.#add(table)) this.#table.markDirty()
  }

  /** As consumerOffset.json and GET_ALL_CONSUMER_OFFSET have it. */
  toTable(): ConsumerOffsetTable {
    const offsetTable = new Map<string, ReadonlyMap<number, number>>()
    for (const [key, { committed }] of this.#byTopicAndGroup) if (committed.size > 0) offsetTable.set(key, committed)
    return { dataVersion: this.#dataVersion, offsetTable }
  }

  /** @throws OperatingError FILE_FAILED */
  saveIfDirty(): void {
    this.#table.saveIfDirty()
  }

  #commit(offsets: GroupOffsets, queueId: number, consumerOffset: number): boolean {
    const known = offsets.committed.get(queueId)
    if (known === consumerOffset) return true
    if (known === undefined) {
      if (this.#queueCount >= queueCountMax) return false
      this.#queueCount++
    }
    offsets.committed.set(queueId, consumerOffset)
    this.#markChanged()
    return true
  }

  #find(topic: string, consumerGroup: string): GroupOffsets | undefined {
    return this.#byTopicAndGroup.get(topic + separator + consumerGroup)
  }

  #of(topic: string, consumerGroup: string): GroupOffsets {
    const key = topic + separator + consumerGroup
    let offsets = this.#byTopicAndGroup.get(key)
    if (offsets === undefined) {
      offsets = { topic, consumerGroup, committed: new Map(), pulled: new Map(), resets: new Map() }
      this.#byTopicAndGroup.set(key, offsets)
      addTo(this.#topicsByGroup, consumerGroup, topic)
      addTo(this.#groupsByTopic, topic, consumerGroup)
    }
    return offsets
  }

  #forget(matches: (offsets: GroupOffsets) => boolean): void {
    for (const [key, offsets] of this.#byTopicAndGroup) {
      if (!matches(offsets)) continue
      this.#byTopicAndGroup.delete(key)
      takeFrom(this.#topicsByGroup, offsets.consumerGroup, offsets.topic)
      takeFrom(this.#groupsByTopic, offsets.topic, offsets.consumerGroup)
      this.#queueCount -= offsets.committed.size
      this.#markChanged()
    }
  }

  #markChanged(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#doors.clock.now())
    this.#table.markDirty()
  }

  #load(): void {
    const saved = this.#doors.storage.load('consumerOffset.json')
    if (saved === undefined) return
    const table = readConsumerOffsetTable(saved)
    this.#dataVersion = table.dataVersion
    this.#add(table)
    this.#doors.log.info({ queues: this.#queueCount }, 'consumer offsets loaded')
  }

  /** @returns whether any of them is new */
  #add({ offsetTable }: ConsumerOffsetTable): boolean {
    let hasChanged = false
    for (const [key, queues] of offsetTable) {
      const at = key.indexOf(separator)
      if (at <= 0) continue // Apache skips such entries too
      const { committed } = this.#of(key.slice(0, at), key.slice(at + 1))
      this.#queueCount -= committed.size
      for (const [queueId, consumerOffset] of queues) {
        if (committed.get(queueId) === consumerOffset) continue
        committed.set(queueId, consumerOffset)
        hasChanged = true
      }
      this.#queueCount += committed.size
    }
    return hasChanged
  }
}

function addTo(index: Map<string, Set<string>>, key: string, name: string): void {
  const names = index.get(key)
  if (names === undefined) index.set(key, new Set([name]))
  else names.add(name)
}

function takeFrom(index: Map<string, Set<string>>, key: string, name: string): void {
  const names = index.get(key)
  if (names?.delete(name) && names.size === 0) index.delete(key)
}
