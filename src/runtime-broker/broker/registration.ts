import { crc32 } from 'node:zlib'
import type { Timer } from '../../base/clock.ts'
import type { Doors } from '../../base/doors.ts'
import { messageOf, OperatingError } from '../../base/errors.ts'
import { readKvTable } from '../../remoting/body/lists.ts'
import { writeRegisterBrokerBody } from '../../remoting/body/register-broker.ts'
import type { TopicConfig } from '../../remoting/body/topic-config.ts'
import { RemotingClient } from '../../remoting/client.ts'
import type { ClientTls } from '../../remoting/client-tls.ts'
import { Perm, RequestCode, ResponseCode } from '../../remoting/codes.ts'
import {
  queryDataVersionRequest,
  queryDataVersionResponse,
  unregisterBrokerRequest,
} from '../../remoting/headers/broker-identity.ts'
import { registerBrokerRequest, registerBrokerResponse } from '../../remoting/headers/register-broker.ts'
import { writeJson } from '../../remoting/json.ts'
import { type BrokerSettings, namesrvAddresses } from '../../tunables/index.ts'
import { NamesrvNames } from './namesrv-names.ts'
import type { Topics } from './topics.ts'

const readWrite = Perm.READ | Perm.WRITE
const unregisterTimeoutMs = 3_000

/** One address of a NameServer, and what it has to hear. */
interface Link {
  readonly address: string // ip:port
  name: string // the part of namesrvAddr that gave it last
  isRegistered: boolean // as of the last try; a lost connection ends it
  /** Before the next period it is to be asked whether it still has what it was told. */
  mustAsk: boolean
  /** Topics it has not heard of since they changed; 'all' before the first registration and after a lost one. */
  unheard: Set<string> | 'all'
  call: Promise<void> | undefined
  next: Promise<void> | undefined
}

/** This broker's part in its group. */
export interface HaIdentity {
  /** Where the log is served: host:port. */
  haServerAddr: string
  /** A slave is told, with each registration, where its master is; not while there is none. */
  onMaster(haServerAddr: string, masterAddr: string): void
}

/**
 * Keeps every NameServer told which topics this broker has: all of them each period, changed ones at once. Each address
 * that a name has now is a NameServer of its own; one that came is told at once, one that was lost is tried again each
 * updateNameServerAddrPeriod.
 */
export class Registration {
  readonly #settings: BrokerSettings
  readonly #brokerAddr: string
  readonly #topics: Topics
  readonly #doors: Doors
  readonly #client: RemotingClient
  readonly #ha: HaIdentity
  readonly #names: NamesrvNames
  #links = new Map<string, Link>()
  #timers: Timer[] = []
  #wasComplete = false
  #isStopped = false
  #changes: { topics: Set<string>; told: Promise<void> } | undefined

  /** @param tls how it speaks with NameServers */
  constructor(
    settings: BrokerSettings,
    brokerAddr: string,
    topics: Topics,
    doors: Doors,
    tls: ClientTls | undefined,
    ha: HaIdentity,
  ) {
    this.#ha = ha
    this.#settings = settings
    this.#brokerAddr = brokerAddr
    this.#topics = topics
    this.#doors = doors
    this.#client = new RemotingClient({ tls, onClose: (address) => this.#connectionLost(address) }, doors)
    this.#names = new NamesrvNames(
      () => namesrvAddresses(settings.namesrvAddr),
      () => {
        this.#relink()
        void this.#tell()
      },
      doors,
    )
  }

  /** Resolves after the first try, however it ended. */
  async start(): Promise<void> {
    const { clock } = this.#doors
    const { updateNameServerAddrPeriod, registerNameServerPeriod } = this.#settings
    this.#timers = [
      clock.every(updateNameServerAddrPeriod, () => void this.refresh()),
      clock.every(registerNameServerPeriod, () => void this.#renew()),
    ]
    await this.refresh()
  }

  /** Looks again which NameServers there are, and tells those that have not heard everything. */
  async refresh(): Promise<void> {
    await Promise.all([this.#tell(), this.#names.resolve().then(() => this.#tell())])
  }

  /** Tells every NameServer all topics. */
  registerAll(): Promise<void> {
    for (const link of this.#links.values()) link.unheard = 'all'
    return this.#tell()
  }

  /** Tells every NameServer about one changed topic; changes of one turn of the event loop go together. */
  topicChanged(topic: string): Promise<void> {
    if (this.#changes === undefined) {
      const topics = new Set<string>()
      const told = new Promise<void>((resolve) => {
        this.#doors.clock.endOfTurn(() => {
          this.#changes = undefined
          for (const link of this.#links.values()) {
            if (link.unheard !== 'all') for (const changed of topics) link.unheard.add(changed)
          }
          void this.#tell().then(resolve)
        })
      })
      this.#changes = { topics, told }
    }
    this.#changes.topics.add(topic)
    return this.#changes.told
  }

  /**
   * Until the first time: every NameServer must know this broker, or clients would see it only by chance. Later one is
   * enough: a NameServer that is down is no reason to take its brokers out of service.
   */
  notReady(): string | undefined {
    if (namesrvAddresses(this.#settings.namesrvAddr).length === 0) return undefined
    if (this.#settings.registrationHeld) return 'held back from the NameServers by registrationHeld'
    const links = [...this.#links.values()]
    const missing = [
      ...this.#names.unresolved,
      ...links.filter((link) => !link.isRegistered).map(({ address }) => address),
    ]
    const isComplete = links.length > 0 && missing.length === 0
    if (isComplete) this.#wasComplete = true
    if (isComplete || (this.#wasComplete && links.some((link) => link.isRegistered))) return undefined
    return `not registered at NameServer ${missing.join(', ') || this.#settings.namesrvAddr}`
  }

  /** Leaves every NameServer that can be reached. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const timer of this.#timers) timer.cancel()
    await Promise.all([...this.#links.values()].map((link) => this.#unregister(link)))
    await this.#client.close()
  }

  /**
   * The period of the full registration: unless forceRegister, who has heard everything is only asked. A slave always
   * registers, as the answer tells it where its master is.
   */
  #renew(): Promise<void> {
    for (const link of this.#links.values()) {
      if (this.#settings.forceRegister || this.#settings.brokerId > 0) link.unheard = 'all'
      else link.mustAsk = true
    }
    return this.#tell()
  }

  /** NameServers forget a broker whose connection ends. */
  #connectionLost(address: string): void {
    const link = this.#links.get(address)
    if (link === undefined || this.#isStopped) return
    if (link.isRegistered)
      this.#doors.log.warn({ namesrvAddr: address }, 'connection to NameServer lost: registering again')
    link.isRegistered = false
    link.unheard = 'all'
  }

  /** Takes over the addresses that the names have now. */
  #relink(): void {
    if (this.#isStopped) return
    const before = this.#links
    const links = new Map<string, Link>()
    for (const [address, name] of this.#names.addresses()) {
      const link = before.get(address) ?? newLink(address, name)
      link.name = name
      links.set(address, link)
    }
    const named = namesrvAddresses(this.#settings.namesrvAddr)
    for (const [address, link] of before) {
      if (links.has(address)) continue
      // While a name does not resolve, those that were known before go on being told.
      if (this.#names.unresolved.length > 0) links.set(address, link)
      // An admin took its name out. When only DNS left it out it may be back soon: it keeps what it knows until it
      // notices our silence.
      else if (!named.includes(link.name)) void this.#unregister(link)
    }
    this.#links = links
  }

  async #tell(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => this.#tellLink(link)))
  }

  /** One registration at a time for each NameServer; what comes meanwhile goes with the next, which all wait for. */
  #tellLink(link: Link): Promise<void> {
    if (link.call !== undefined) {
      link.next ??= link.call.then(() => {
        link.next = undefined
        return this.#tellLink(link)
      })
      return link.next
    }
    if (this.#isStopped || this.#settings.registrationHeld) return Promise.resolve()
    const isBehind = link.unheard === 'all' || link.unheard.size > 0
    if (!isBehind && !link.mustAsk) return Promise.resolve()
    link.call = (isBehind ? this.#register(link) : this.#ask(link)).finally(() => {
      link.call = undefined
    })
    return link.call
  }

  /** Sends all topics only where the NameServer does not have them as they are now; asking keeps the broker alive there. */
  async #ask(link: Link): Promise<void> {
    link.mustAsk = false
    const { registerBrokerTimeoutMills } = this.#settings
    const extFields = queryDataVersionRequest.encode(this.#identity())
    const body = Buffer.from(writeJson(this.#topics.dataVersion))
    const command = { code: RequestCode.QUERY_DATA_VERSION, extFields, body }
    try {
      const answer = await this.#client.call(link.address, command, registerBrokerTimeoutMills)
      const isCurrent =
        answer.code === ResponseCode.SUCCESS && !queryDataVersionResponse.decode(answer.extFields).changed
      if (isCurrent) return
    } catch (error) {
      this.#doors.log.debug({ namesrvAddr: link.address, err: messageOf(error) }, 'NameServer not asked')
    }
    link.unheard = 'all'
    await this.#register(link)
  }

  #identity(): { brokerName: string; brokerAddr: string; clusterName: string; brokerId: number } {
    const { brokerName, brokerId, brokerClusterName: clusterName } = this.#settings
    return { brokerName, brokerAddr: this.#brokerAddr, clusterName, brokerId }
  }

  async #register(link: Link): Promise<void> {
    const { log, clock } = this.#doors
    const { brokerName, brokerId, brokerClusterName, registerBrokerTimeoutMills } = this.#settings
    const told = link.unheard
    link.unheard = new Set()
    link.mustAsk = false
    const startedAtMs = clock.monotonicMs()
    try {
      const body = this.#body(told)
      const extFields = registerBrokerRequest.encode({
        brokerName,
        brokerAddr: this.#brokerAddr,
        clusterName: brokerClusterName,
        haServerAddr: this.#ha.haServerAddr,
        brokerId,
        enableActingMaster: false,
        bodyCrc32: crc32(body) & 0x7fff_ffff,
      })
      const command = { code: RequestCode.REGISTER_BROKER, extFields, body }
      const answer = await this.#client.call(link.address, command, registerBrokerTimeoutMills)
      if (answer.code !== ResponseCode.SUCCESS) {
        throw new OperatingError('REQUEST_REFUSED', { code: answer.code, remark: answer.remark })
      }
      if (brokerId > 0) {
        const { haServerAddr, masterAddr } = registerBrokerResponse.decode(answer.extFields)
        if (haServerAddr && masterAddr) this.#ha.onMaster(haServerAddr, masterAddr)
      } else if (answer.body.length > 0) this.#topics.markOrdered(readKvTable(answer.body).keys())
      if (!link.isRegistered) {
        const elapsedMs = Math.round(clock.monotonicMs() - startedAtMs)
        log.info({ brokerName, brokerId, namesrvAddr: link.address, elapsedMs }, 'registered at NameServer')
      }
      link.isRegistered = true
    } catch (error) {
      link.unheard = 'all'
      const fields = { namesrvAddr: link.address, err: messageOf(error) }
      if (link.isRegistered) log.warn(fields, 'registration lost: trying again')
      else log.debug(fields, 'not registered yet')
      link.isRegistered = false
    }
  }

  /** @param told names, deleted ones too: NameServers forget a topic only when an admin tells them */
  #body(told: ReadonlySet<string> | 'all'): Buffer {
    const { dataVersion } = this.#topics
    const permission = this.#settings.brokerPermission
    const announced = new Map<string, TopicConfig>()
    for (const name of told === 'all' ? this.#topics.names() : told) {
      const config = this.#topics.find(name)?.config
      if (config === undefined) continue
      const isRestricted = (permission & readWrite) !== readWrite
      announced.set(name, isRestricted ? { ...config, perm: config.perm & permission } : config)
    }
    const wrapper = { dataVersion, topicConfigTable: announced }
    return Buffer.from(writeRegisterBrokerBody({ topicConfigSerializeWrapper: wrapper, filterServerList: [] }))
  }

  async #unregister({ address, isRegistered, call }: Link): Promise<void> {
    if (!isRegistered && call === undefined) return
    const { brokerName, brokerId } = this.#settings
    const extFields = unregisterBrokerRequest.encode(this.#identity())
    try {
      await this.#client.call(address, { code: RequestCode.UNREGISTER_BROKER, extFields }, unregisterTimeoutMs)
      this.#doors.log.info({ brokerName, brokerId, namesrvAddr: address }, 'unregistered at NameServer')
    } catch (error) {
      this.#doors.log.warn(
        { namesrvAddr: address, err: messageOf(error) },
        'not unregistered: the NameServer will notice',
      )
    }
  }
}

function newLink(address: string, name: string): Link {
  return { address, name, isRegistered: false, mustAsk: false, unheard: 'all', call: undefined, next: undefined }
}
