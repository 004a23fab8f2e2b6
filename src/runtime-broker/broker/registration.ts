import { crc32 } from 'node:zlib'
import type { Timer } from '../../base/clock.ts'
import type { Doors } from '../../base/doors.ts'
import { messageOf, OperatingError } from '../../base/errors.ts'
import { formatAddress, parseAddress } from '../../remoting/address.ts'
import { readKvTable } from '../../remoting/body/lists.ts'
import { writeRegisterBrokerBody } from '../../remoting/body/register-broker.ts'
import type { TopicConfig } from '../../remoting/body/topic-config.ts'
import { RemotingClient } from '../../remoting/client.ts'
import { Perm, RequestCode, ResponseCode } from '../../remoting/codes.ts'
import { unregisterBrokerRequest } from '../../remoting/headers/broker-identity.ts'
import { registerBrokerRequest, registerBrokerResponse } from '../../remoting/headers/register-broker.ts'
import { type BrokerSettings, namesrvAddresses } from '../../tunables/index.ts'
import type { Topics } from './topics.ts'

const readWrite = Perm.READ | Perm.WRITE
const unregisterTimeoutMs = 3_000

/** One address of a NameServer, and what it has to hear. */
interface Link {
  readonly address: string // ip:port
  isRegistered: boolean // as of the last try
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
 * Keeps every NameServer told which topics this broker has: all of them each period, changed ones at once. Host names
 * are resolved anew each period, and each of their addresses is a NameServer of its own.
 */
export class Registration {
  readonly #settings: BrokerSettings
  readonly #brokerAddr: string
  readonly #topics: Topics
  readonly #doors: Doors
  readonly #client: RemotingClient
  readonly #ha: HaIdentity
  #links = new Map<string, Link>()
  #unresolved: string[] = []
  #timer: Timer | undefined
  #wasComplete = false
  #isStopped = false
  #changes: { topics: Set<string>; told: Promise<void> } | undefined

  constructor(settings: BrokerSettings, brokerAddr: string, topics: Topics, doors: Doors, ha: HaIdentity) {
    this.#ha = ha
    this.#settings = settings
    this.#brokerAddr = brokerAddr
    this.#topics = topics
    this.#doors = doors
    this.#client = new RemotingClient({}, doors)
  }

  /** Resolves after the first try, however it ended. */
  async start(): Promise<void> {
    this.#timer = this.#doors.clock.every(this.#settings.registerNameServerPeriod, () => void this.registerAll())
    await this.registerAll()
  }

  /** Tells every NameServer all topics. */
  async registerAll(): Promise<void> {
    await this.#resolveLinks()
    for (const link of this.#links.values()) link.unheard = 'all'
    await this.#tell()
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
    const missing = [...this.#unresolved, ...links.filter((link) => !link.isRegistered).map(({ address }) => address)]
    const isComplete = links.length > 0 && missing.length === 0
    if (isComplete) this.#wasComplete = true
    if (isComplete || (this.#wasComplete && links.some((link) => link.isRegistered))) return undefined
    return `not registered at NameServer ${missing.join(', ') || this.#settings.namesrvAddr}`
  }

  /** Leaves every NameServer that can be reached. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await Promise.all([...this.#links.values()].map((link) => this.#unregister(link)))
    await this.#client.close()
  }

  async #resolveLinks(): Promise<void> {
    const links = new Map<string, Link>()
    const unresolved: string[] = []
    for (const text of namesrvAddresses(this.#settings.namesrvAddr)) {
      const named = parseAddress(text)
      try {
        if (named === undefined) throw new OperatingError('RESOLVE_FAILED', { address: text, fits: 'host:port' })
        for (const host of await this.#doors.network.resolve(named.host)) {
          const address = formatAddress({ host, port: named.port })
          const known = this.#links.get(address)
          links.set(
            address,
            known ?? { address, isRegistered: false, unheard: 'all', call: undefined, next: undefined },
          )
        }
      } catch (error) {
        unresolved.push(text)
        this.#doors.log.warn({ namesrvAddr: text, err: messageOf(error) }, 'NameServer name does not resolve')
      }
    }
    // While a name does not resolve, the addresses it had go on being told.
    if (unresolved.length > 0) for (const [address, link] of this.#links) links.set(address, link)
    this.#links = links
    this.#unresolved = unresolved
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
    const { registrationHeld } = this.#settings
    if (this.#isStopped || registrationHeld || (link.unheard !== 'all' && link.unheard.size === 0))
      return Promise.resolve()
    link.call = this.#register(link).finally(() => {
      link.call = undefined
    })
    return link.call
  }

  async #register(link: Link): Promise<void> {
    const { log, clock } = this.#doors
    const { brokerName, brokerId, brokerClusterName, registerBrokerTimeoutMills } = this.#settings
    const told = link.unheard
    link.unheard = new Set()
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
      if (link.isRegistered) log.warn(fields, 'registration lost: trying again each period')
      else log.debug(fields, 'not registered yet')
      link.isRegistered = false
    }
  }

  /** @param told names, deleted ones too: NameServers forget a topic only when an admin tells them */
  #body(told: ReadonlySet<string> | 'all'): Buffer {
    const { dataVersion, topicConfigTable } = this.#topics.toTable()
    const permission = this.#settings.brokerPermission
    const announced = new Map<string, TopicConfig>()
    for (const [name, config] of topicConfigTable) {
      if (told !== 'all' && !told.has(name)) continue
      const isRestricted = (permission & readWrite) !== readWrite
      announced.set(name, isRestricted ? { ...config, perm: config.perm & permission } : config)
    }
    const wrapper = { dataVersion, topicConfigTable: announced }
    return Buffer.from(writeRegisterBrokerBody({ topicConfigSerializeWrapper: wrapper, filterServerList: [] }))
  }

  async #unregister({ address, isRegistered }: Link): Promise<void> {
    if (!isRegistered) return
    const { brokerName, brokerId, brokerClusterName: clusterName } = this.#settings
    const extFields = unregisterBrokerRequest.encode({
      brokerName,
      brokerAddr: this.#brokerAddr,
      clusterName,
      brokerId,
    })
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
