import type { DataVersion } from '../../remoting/body/data-version.ts'
import {
  readSubscriptionGroupTable,
  type SubscriptionGroupConfig,
  type SubscriptionGroupTable,
  subscriptionGroupConfig,
} from '../../remoting/body/subscription-group.ts'
import { writeJson } from '../../remoting/json.ts'
import { JoinedRows } from './joined-rows.ts'
import { groupNameFault, isSystemGroup, systemGroups } from './names.ts'
import { nextDataVersion, SavedTable, type TableDoors } from './saved-table.ts'

/** Groups that come into being by consuming; beyond it consumers must ask an admin. */
const autoCreatedMax = 100_000

/** The consumer groups of this broker, in subscriptionGroup.json. Source: Apache RocketMQ 5, SubscriptionGroupManager. */
export class Groups {
  readonly #groups = new Map<string, SubscriptionGroupConfig>()
  readonly #rows = new JoinedRows((name) => {
    const config = this.#groups.get(name)
    return config && `${JSON.stringify(name)}:${writeJson(config)}`
  })
  readonly #mayCreate: () => boolean
  readonly #doors: TableDoors
  readonly #table: SavedTable
  #forbiddenTable: unknown // kept as it was read: nothing here sets it
  #dataVersion: DataVersion

  /** @param mayCreate setting autoCreateSubscriptionGroup, as it is now */
  constructor(mayCreate: () => boolean, doors: TableDoors) {
    this.#mayCreate = mayCreate
    this.#doors = doors
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: doors.clock.now() }
    this.#table = new SavedTable(
      'subscriptionGroup.json',
      () => {
        const [dataVersion, forbidden] = [writeJson(this.#dataVersion), writeJson(this.#forbiddenTable ?? {})]
        return this.#rows.between(
          `{"dataVersion":${dataVersion},"subscriptionGroupTable":{`,
          `},"forbiddenTable":${forbidden}}`,
        )
      },
      doors,
    )
    this.#load()
    for (const group of systemGroups) {
      if (!this.#groups.has(group)) this.#set(subscriptionGroupConfig(group))
    }
    void this.#table.changed()
  }

  get dataVersion(): DataVersion {
    return this.#dataVersion
  }

  /** Becomes the table of the master whose slave this is. */
  replaceAll(table: SubscriptionGroupTable & { forbiddenTable: unknown }): void {
    for (const name of this.#groups.keys()) this.#rows.changed(name)
    this.#groups.clear()
    for (const config of table.subscriptionGroupTable.values()) this.#set(config)
    this.#forbiddenTable = table.forbiddenTable
    this.#dataVersion = table.dataVersion
    void this.#table.changed()
  }

  /** The group, made with defaults when it is missing and may be. */
  findOrCreate(group: string): SubscriptionGroupConfig | undefined {
    const config = this.#groups.get(group)
    if (config !== undefined) return config
    if (!(this.#mayCreate() || isSystemGroup(group))) return undefined
    if (groupNameFault(group) !== undefined || this.#groups.size >= autoCreatedMax) return undefined
    const created = subscriptionGroupConfig(group)
    void this.put(created)
    this.#doors.log.info({ consumerGroup: group }, 'consumer group created')
    return created
  }

  find(group: string): SubscriptionGroupConfig | undefined {
    return this.#groups.get(group)
  }

  has(group: string): boolean {
    return this.#groups.has(group)
  }

  names(): Iterable<string> {
    return this.#groups.keys()
  }

  /** Adds or replaces; resolves when that is on disk. @throws OperatingError FILE_FAILED */
  put(config: SubscriptionGroupConfig): Promise<void> {
    this.#set(config)
    return this.#changed()
  }

  async delete(group: string): Promise<void> {
    if (!this.#groups.delete(group)) return
    this.#rows.changed(group)
    await this.#changed()
  }

  /** As subscriptionGroup.json and GET_ALL_SUBSCRIPTIONGROUP_CONFIG have it. */
  toTable(): SubscriptionGroupTable & { forbiddenTable: unknown } {
    return {
      dataVersion: this.#dataVersion,
      forbiddenTable: this.#forbiddenTable ?? {},
      subscriptionGroupTable: new Map(this.#groups),
    }
  }

  saveIfDirty(): void {
    this.#table.saveIfDirty()
  }

  #set(config: SubscriptionGroupConfig): void {
    this.#groups.set(config.groupName, config)
    this.#rows.changed(config.groupName)
  }

  #changed(): Promise<void> {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#doors.clock.now())
    return this.#table.changed()
  }

  #load(): void {
    const saved = this.#doors.storage.load('subscriptionGroup.json')
    if (saved === undefined) return
    const { dataVersion, subscriptionGroupTable } = readSubscriptionGroupTable(saved)
    this.#dataVersion = dataVersion
    this.#forbiddenTable = (saved as { forbiddenTable?: unknown }).forbiddenTable
    for (const config of subscriptionGroupTable.values()) this.#set(config)
    this.#doors.log.info({ groups: this.#groups.size }, 'consumer groups loaded')
  }
}
