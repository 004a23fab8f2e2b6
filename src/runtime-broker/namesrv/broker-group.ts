import type { BrokerData, QueueData } from '../../remoting/body/route.ts'
import type { TopicQueueMappingInfo } from '../../remoting/body/topic-queue-mapping.ts'
import { Perm } from '../../remoting/codes.ts'

/** One broker, as it names itself in requests. */
export interface BrokerIdentity {
  clusterName: string
  brokerName: string
  brokerId: number // 0: the master
  brokerAddr: string
}

/** Addresses are unique in a cluster only: containers of two clusters may see the same one. */
export function brokerKey({ clusterName, brokerAddr }: Pick<BrokerIdentity, 'clusterName' | 'brokerAddr'>): string {
  return `${clusterName}\n${brokerAddr}`
}

/** Another broker of a group has its smallest id now. */
export interface MinBrokerIdChange {
  minBrokerId: number
  minBrokerAddr: string
  offlineBrokerAddr: string | undefined // who left; undefined: somebody came
  haBrokerAddr: string | undefined // of who came
  /** Who is to hear of it. */
  brokerAddrs: string[]
}

export const masterId = 0
const queueDatasMax = 1024 // different ones in a group; forgotten beyond: they are shared to save memory only

/** The brokers of one name, a master and its slaves, and the topics that they have together. */
export class BrokerGroup {
  readonly clusterName: string
  readonly brokerName: string
  readonly addrs = new Map<number, string>() // by brokerId
  readonly topics = new Map<string, QueueData>() // equal ones are one object
  readonly mappings = new Map<string, TopicQueueMappingInfo>() // by topic
  /** How often something else than a registration changed which topics it has. */
  edits = 0
  readonly #queueDatas = new Map<string, QueueData>()
  #enableActingMaster = false
  #zoneName: string | undefined
  #data: BrokerData | undefined // as it stands in routes; undefined: to be made anew
  #actingData: BrokerData | undefined // the same with the smallest id as the master's

  constructor({ clusterName, brokerName }: Pick<BrokerIdentity, 'clusterName' | 'brokerName'>) {
    this.clusterName = clusterName
    this.brokerName = brokerName
  }

  /** Whether its slaves act for their master while it is lost. */
  get enableActingMaster(): boolean {
    return this.#enableActingMaster
  }

  get minId(): number {
    return Math.min(...this.addrs.keys())
  }

  /** Whether a member's topics are the group's: the master's are, and those of a slave that stands in for it. */
  isSpokenForBy(brokerId: number, isActingMasterKnown: boolean): boolean {
    return brokerId === masterId || (isActingMasterKnown && brokerId === this.minId)
  }

  /** A member is at this address now, and at no other; the rest is what it said last. */
  join(
    { brokerId, brokerAddr }: BrokerIdentity,
    { enableActingMaster, zoneName }: { enableActingMaster: boolean; zoneName: string | undefined },
  ): void {
    const isKnown = this.addrs.get(brokerId) === brokerAddr
    if (isKnown && this.#enableActingMaster === enableActingMaster && this.#zoneName === zoneName) return
    this.#enableActingMaster = enableActingMaster
    this.#zoneName = zoneName
    for (const [id, address] of this.addrs) {
      if (address === brokerAddr && id !== brokerId) this.addrs.delete(id) // slave and master changed roles
    }
    this.addrs.set(brokerId, brokerAddr)
    this.#changed()
  }

  leave(brokerAddr: string): void {
    for (const [id, address] of this.addrs) if (address === brokerAddr) this.addrs.delete(id)
    this.#changed()
  }

  get brokerData(): BrokerData {
    return (this.#data ??= this.#makeData(this.addrs))
  }

  /** Where a slave may act for the lost master, it stands in the master's place. */
  get actingBrokerData(): BrokerData {
    if (!this.#enableActingMaster || this.addrs.has(masterId)) return this.brokerData
    if (this.#actingData === undefined) {
      const { minId } = this
      const addrs = [...this.addrs].map(([id, address]) => [id === minId ? masterId : id, address] as const)
      this.#actingData = this.#makeData(addrs)
    }
    return this.#actingData
  }

  /** @param name of the topic, which is kept for as long as the group has it */
  setTopic(name: string, queues: Queues): void {
    this.topics.set(name, this.#queueDataOf(queues))
  }

  /** Takes the write permission from every topic, or gives read and write to it. */
  setWritable(isWritable: boolean): void {
    const changes = new Map<QueueData, QueueData>()
    for (const [topic, queueData] of this.topics) {
      const perm = isWritable ? Perm.READ | Perm.WRITE : unwritable(queueData.perm)
      const make = () => this.#queueDataOf({ ...queueData, perm })
      this.topics.set(topic, changes.getOrInsertComputed(queueData, make))
    }
  }

  /** A new broker has the smallest id: the others hear of it, or it alone where it is. */
  arrival(haBrokerAddr: string): MinBrokerIdChange {
    const { minBrokerId, minBrokerAddr } = this.#min()
    const others = [...this.addrs].filter(([id]) => id !== minBrokerId || this.addrs.size === 1)
    return {
      minBrokerId,
      minBrokerAddr,
      offlineBrokerAddr: undefined,
      haBrokerAddr,
      brokerAddrs: others.map(([, address]) => address),
    }
  }

  /** The broker with the smallest id left: all others hear of it. */
  departure(offlineBrokerAddr: string): MinBrokerIdChange {
    return { ...this.#min(), offlineBrokerAddr, haBrokerAddr: undefined, brokerAddrs: [...this.addrs.values()] }
  }

  #min(): { minBrokerId: number; minBrokerAddr: string } {
    const { minId } = this
    return { minBrokerId: minId, minBrokerAddr: this.addrs.get(minId)! }
  }

  #changed(): void {
    this.#data = undefined
    this.#actingData = undefined
  }

  #makeData(addrs: Iterable<readonly [number, string]>): BrokerData {
    const zoneName = this.#zoneName
    return {
      brokerAddrs: new Map([...addrs].sort(([a], [b]) => a - b)),
      brokerName: this.brokerName,
      cluster: this.clusterName,
      enableActingMaster: this.#enableActingMaster,
      ...(zoneName !== undefined && { zoneName }),
    }
  }

  #queueDataOf({ perm, readQueueNums, topicSysFlag, writeQueueNums }: Queues): QueueData {
    if (this.#queueDatas.size >= queueDatasMax) this.#queueDatas.clear()
    const make = () => ({ brokerName: this.brokerName, perm, readQueueNums, topicSysFlag, writeQueueNums })
    return this.#queueDatas.getOrInsertComputed(`${perm},${readQueueNums},${topicSysFlag},${writeQueueNums}`, make)
  }
}

type Queues = Pick<QueueData, 'perm' | 'readQueueNums' | 'writeQueueNums' | 'topicSysFlag'>

export function unwritable(perm: number): number {
  return perm & ~Perm.WRITE
}
