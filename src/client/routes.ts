import type { Clock, Timer } from '../base/clock.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type QueueData, readTopicRouteData, type TopicRouteData } from '../remoting/body/route.ts'
import { Perm, RequestCode, ResponseCode } from '../remoting/codes.ts'
import { getRouteInfoRequest } from '../remoting/headers/get-route-info.ts'
import { isRefusal } from './answers.ts'
import { compareQueues, compareText, type MessageQueue } from './message.ts'
import type { NameServers } from './name-servers.ts'

/** The topic that brokers copy when a topic is created by sending to it. */
export const templateTopic = 'TBW102'

/** Where a topic's queues are, as one NameServer said at one time. */
export class Route {
  readonly topic: string
  readonly data: TopicRouteData
  /** Queues that take messages: writable, and their group has its master. Sorted. */
  readonly writeQueues: readonly MessageQueue[]
  /** Queues that can be read. Sorted. */
  readonly readQueues: readonly MessageQueue[]
  readonly #brokers: ReadonlyMap<string, ReadonlyMap<number, string>>
  readonly #fingerprint: string

  constructor(topic: string, data: TopicRouteData) {
    this.topic = topic
    this.data = data
    this.#brokers = new Map(data.brokerDatas.map(({ brokerName, brokerAddrs }) => [brokerName, brokerAddrs]))
    const expand = (count: (queue: QueueData) => number) =>
      data.queueDatas
        .flatMap((queue) =>
          Array.from({ length: count(queue) }, (_, queueId) => ({ topic, brokerName: queue.brokerName, queueId })),
        )
        .sort(compareQueues)
    this.writeQueues = expand(({ brokerName, perm, writeQueueNums }) =>
      (perm & Perm.WRITE) !== 0 && this.masterOf(brokerName) !== undefined ? writeQueueNums : 0,
    )
    this.readQueues = expand(({ perm, readQueueNums }) => ((perm & Perm.READ) !== 0 ? readQueueNums : 0))
    const brokers = [...this.#brokers].map(([name, group]) => [name, [...group].sort(([a], [b]) => a - b)] as const)
    const sorted = brokers.sort(([a], [b]) => compareText(a, b)) // NameServers list them in any order
    this.#fingerprint = JSON.stringify([sorted, this.writeQueues, this.readQueues])
  }

  masterOf(brokerName: string): string | undefined {
    return this.#brokers.get(brokerName)?.get(0)
  }

  /** The broker with this id, else the master, else any of the group. */
  brokerOf(brokerName: string, brokerId: number): string | undefined {
    const group = this.#brokers.get(brokerName)
    return group?.get(brokerId) ?? group?.get(0) ?? group?.values().next().value
  }

  /** All brokers that have the topic, by address. */
  addresses(which: 'masters' | 'all'): string[] {
    return [...this.#brokers.values()].flatMap((group) =>
      which === 'all' ? [...group.values()] : [...group].filter(([id]) => id === 0).map(([, address]) => address),
    )
  }

  /** Whether both have the same queues at the same addresses. */
  isSame(other: Route): boolean {
    return this.#fingerprint === other.#fingerprint
  }
}

interface Entry {
  route: Route
  askedAtMs: number
  fetchedAtMs: number
  usedAtMs: number
  /** Broker groups that had a master, or have slaves, and are without one since then (monotonic). */
  absentSinceMs: ReadonlyMap<string, number>
}

/**
 * The routes of the topics that this client uses, read anew every refreshMs and when something went wrong. A route that
 * no NameServer has any more is kept for a while: they may all have just started. While a broker group's master is away,
 * which is what a restart looks like, its return is looked for every second.
 */
export class Routes {
  /** Called after a known topic's route changed. */
  onChange: (route: Route) => void = () => {}
  readonly #nameServers: NameServers
  readonly #clock: Clock
  readonly #log: Log
  readonly #timeoutMs: number
  readonly #entries = new Map<string, Entry>()
  readonly #fetching = new Map<string, Promise<Route>>()
  readonly #timers: readonly Timer[]

  constructor(
    nameServers: NameServers,
    { refreshMs, timeoutMs }: { refreshMs: number; timeoutMs: number },
    { clock, log }: { clock: Clock; log: Log },
  ) {
    this.#nameServers = nameServers
    this.#timeoutMs = timeoutMs
    this.#clock = clock
    this.#log = log
    this.#timers = [
      clock.every(refreshMs, () => this.#refreshAll()),
      clock.every(absentPauseMs, () => this.#lookForAbsent()),
    ]
    for (const timer of this.#timers) timer.unref()
  }

  /** The route as last read, without waiting. */
  known(topic: string): Route | undefined {
    const entry = this.#entries.get(topic)
    if (entry === undefined) return undefined
    entry.usedAtMs = this.#clock.monotonicMs()
    return entry.route
  }

  /** @throws OperatingError TOPIC_NOT_FOUND when no NameServer has it; CONNECT_FAILED… when none answers */
  async get(topic: string): Promise<Route> {
    return this.known(topic) ?? this.fetch(topic)
  }

  /** Reads the route now, once for all who ask meanwhile. @throws as get */
  fetch(topic: string): Promise<Route> {
    const already = this.#fetching.get(topic)
    if (already) return already
    const fetching = this.#fetch(topic).finally(() => this.#fetching.delete(topic))
    this.#fetching.set(topic, fetching)
    return fetching
  }

  /** Reads a route again in the background, unless that was just done: something at this topic went wrong. */
  refreshSoon(topic: string): void {
    const entry = this.#entries.get(topic)
    if (entry !== undefined && this.#clock.monotonicMs() - entry.askedAtMs < refreshPauseMs) return
    this.#refresh(topic)
  }

  /** A broker group's master, and a topic in use that it has. */
  placeOf(brokerName: string): { topic: string; address: string } | undefined {
    for (const [topic, { route }] of this.#entries) {
      const address = route.masterOf(brokerName)
      if (address !== undefined) return { topic, address }
    }
    return undefined
  }

  /** Addresses of all brokers of the topics in use. */
  brokerAddresses(which: 'masters' | 'all'): Set<string> {
    return new Set([...this.#entries.values()].flatMap(({ route }) => route.addresses(which)))
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel()
  }

  #refresh(topic: string): void {
    this.fetch(topic).catch((error: unknown) => this.#log.debug({ topic, err: error }, 'route not refreshed'))
  }

  async #fetch(topic: string): Promise<Route> {
    const entry = this.#entries.get(topic)
    if (entry !== undefined) entry.askedAtMs = this.#clock.monotonicMs()
    try {
      const route = await this.#ask(topic)
      this.#remember(route)
      if (entry !== undefined && !entry.route.isSame(route)) this.onChange(route)
      return route
    } catch (error) {
      const age = this.#clock.monotonicMs() - (entry?.fetchedAtMs ?? 0)
      if (entry !== undefined && isOperatingError(error, 'TOPIC_NOT_FOUND') && age > staleMsMax) {
        this.#entries.delete(topic)
      }
      throw error
    }
  }

  async #ask(topic: string): Promise<Route> {
    const request = {
      code: RequestCode.GET_ROUTEINFO_BY_TOPIC,
      extFields: getRouteInfoRequest.encode({ topic, acceptStandardJsonOnly: true }),
    }
    try {
      const answer = await this.#nameServers.call(request, this.#timeoutMs)
      return new Route(topic, readTopicRouteData(answer.body))
    } catch (error) {
      if (!isRefusal(error, ResponseCode.TOPIC_NOT_EXIST)) throw error
      throw new OperatingError('TOPIC_NOT_FOUND', { topic }, error)
    }
  }

  #remember(route: Route): void {
    const now = this.#clock.monotonicMs()
    const before = this.#entries.get(route.topic)
    const usedAtMs = before?.usedAtMs ?? now
    const absentSinceMs = absentIn(route, before, now)
    this.#entries.set(route.topic, { route, askedAtMs: now, fetchedAtMs: now, usedAtMs, absentSinceMs })
    for (const brokerName of before?.absentSinceMs.keys() ?? []) {
      if (route.masterOf(brokerName) !== undefined) this.#returned(brokerName)
    }
    if (this.#entries.size > topicCountMax) this.#entries.delete(this.#entries.keys().next().value!)
  }

  /** A master is back: other topics that were without it have it again. */
  #returned(brokerName: string): void {
    for (const [topic, { absentSinceMs }] of this.#entries) if (absentSinceMs.has(brokerName)) this.refreshSoon(topic)
  }

  /** One topic of each absent master is asked for: what comes back brings its topics all at once. */
  #lookForAbsent(): void {
    const oldestMs = this.#clock.monotonicMs() - absentMsMax
    const lookedFor = new Set<string>()
    for (const [topic, { absentSinceMs }] of this.#entries) {
      const names = [...absentSinceMs].filter(([name, sinceMs]) => sinceMs > oldestMs && !lookedFor.has(name))
      if (names.length > 0) this.#refresh(topic)
      for (const [name] of names) lookedFor.add(name)
    }
  }

  #refreshAll(): void {
    const now = this.#clock.monotonicMs()
    for (const [topic, { usedAtMs }] of this.#entries) {
      if (now - usedAtMs > unusedMsMax) this.#entries.delete(topic)
      else this.refreshSoon(topic)
    }
  }
}

/** Masters that are missing from a route: those that it had, for a while, and those of groups with slaves alone. */
function absentIn(route: Route, before: Entry | undefined, nowMs: number): ReadonlyMap<string, number> {
  const names = (one: Route) => one.data.brokerDatas.map(({ brokerName }) => brokerName)
  const listed = new Set(names(route))
  const absent = new Map(before?.absentSinceMs)
  for (const name of [...(before === undefined ? [] : names(before.route)), ...listed]) {
    if (!absent.has(name)) absent.set(name, nowMs)
  }
  for (const [name, sinceMs] of absent) {
    const isGone = !listed.has(name) && nowMs - sinceMs > absentMsMax
    if (isGone || route.masterOf(name) !== undefined) absent.delete(name)
  }
  return absent
}

const refreshPauseMs = 1_000
const absentPauseMs = 1_000
const absentMsMax = 120_000 // who is away for longer is found within refreshMs
const staleMsMax = 120_000 // as long as a NameServer itself keeps a silent broker
const unusedMsMax = 600_000
const topicCountMax = 10_000 // the longest known goes first
