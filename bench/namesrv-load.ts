/**
 * The load of bench/namesrv.ts, in processes of its own: `brokers` registers as many brokers do, `lookups` asks for routes
 * as clients do. Both are told what to do by messages of their parent, and answer with figures.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { silentLog } from '../src/base/log.ts'
import { nodeDoors } from '../src/base/node/doors.ts'
import { writeRegisterBrokerBody } from '../src/remoting/body/register-broker.ts'
import { topicConfig } from '../src/remoting/body/topic-config.ts'
import { RemotingClient } from '../src/remoting/client.ts'
import { RequestCode, ResponseCode } from '../src/remoting/codes.ts'
import { registerBrokerRequest } from '../src/remoting/headers/register-broker.ts'

export interface Layout {
  brokers: number
  topics: number // of each broker
  /** Whether all brokers have the same topics. */
  isShared: boolean
}

/** What each broker sends in one period. */
export type Heartbeat =
  | 'unchanged' // all topics, as they were
  | 'changed' // all topics, one of them changed
  | 'split' // all topics in parts of 800, each with a version of its own (enableSplitRegistration)

export interface BrokersTask {
  do: 'first' | 'beat'
  heartbeat: Heartbeat
  seconds: number
  periodSeconds: number
}
export interface LookupsTask {
  do: 'start' | 'stop'
  perSecond: number
}

/** Of requests: how many, and how long they took, in ms. */
export interface Figures {
  count: number
  failed: number
  p50: number
  p99: number
  max: number
  elapsedMs: number
}

const splitTopics = 800
const callTimeoutMs = 60_000
const groupDigits = 5

function figuresOf(tookMs: number[], failed: number, elapsedMs: number): Figures {
  const sorted = tookMs.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
  return { count: sorted.length, failed, p50: at(0.5), p99: at(0.99), max: at(1), elapsedMs }
}

/** A topic's name; that of a broker's own topics has the broker's number in it, or a placeholder of the same length. */
function topicName({ isShared }: Layout, group: string, index: number): string {
  return `orders-of-${isShared ? 'everybody' : group}-${String(index).padStart(6, '0')}`
}
const placeholder = '#'.repeat(groupDigits)
const groupText = (index: number) => String(index).padStart(groupDigits, '0')

/** Bodies of all brokers come from one text each, as making them anew would take more than serving them. */
class Bodies {
  readonly #layout: Layout
  readonly #texts: string[] // of each part of a split registration, or of the whole
  #counter = 1_000_000

  constructor(layout: Layout, partTopics: number) {
    this.#layout = layout
    const names = Array.from({ length: layout.topics }, (_, index) => topicName(layout, placeholder, index))
    const parts = Math.ceil(names.length / partTopics)
    this.#texts = Array.from({ length: parts }, (_, part) => {
      const own = names.slice(part * partTopics, (part + 1) * partTopics)
      const config = { readQueueNums: 8, writeQueueNums: 8 }
      return writeRegisterBrokerBody({
        filterServerList: [],
        topicConfigSerializeWrapper: {
          dataVersion: { counter: this.#counter, stateVersion: 0, timestamp: 1_700_000_000_000 },
          topicConfigTable: new Map(own.map((name) => [name, topicConfig(name, config)])),
        },
      })
    })
  }

  *of(group: number, isChanged: boolean): Generator<Buffer> {
    for (const text of this.#texts) {
      let body = this.#layout.isShared ? text : text.replaceAll(placeholder, groupText(group))
      if (isChanged) {
        const counter = ++this.#counter
        body = body.replaceAll('"counter":1000000', `"counter":${counter}`)
        const queues = 1 + (counter % 8)
        body = body.replace('"writeQueueNums":8', `"writeQueueNums":${queues}`)
      }
      yield Buffer.from(body)
    }
  }
}

async function brokers(namesrv: string, layout: Layout): Promise<void> {
  const doors = nodeDoors(silentLog)
  const clients = Array.from({ length: layout.brokers }, () => new RemotingClient({}, doors))
  const whole = new Bodies(layout, layout.topics)
  const parts = new Bodies(layout, splitTopics)
  let tookMs: number[] = []
  let failed = 0

  const register = async (group: number, heartbeat: Heartbeat) => {
    const bodies = heartbeat === 'split' ? parts : whole
    for (const body of bodies.of(group, heartbeat !== 'unchanged')) {
      const extFields = registerBrokerRequest.encode({
        brokerName: `broker-${groupText(group)}`,
        brokerAddr: `10.1.${group >> 8}.${group & 255}:10911`,
        clusterName: 'DefaultCluster',
        haServerAddr: `10.1.${group >> 8}.${group & 255}:10912`,
        brokerId: 0,
        enableActingMaster: false,
        bodyCrc32: crc32(body) & 0x7fff_ffff,
      })
      const startedAt = performance.now()
      const command = { code: RequestCode.REGISTER_BROKER, extFields, body }
      const answer = await clients[group]!.call(namesrv, command, callTimeoutMs).catch(() => undefined)
      tookMs.push(performance.now() - startedAt)
      if (answer?.code !== ResponseCode.SUCCESS) failed++
    }
  }
  const run = async ({ do: what, heartbeat, seconds, periodSeconds }: BrokersTask) => {
    tookMs = []
    failed = 0
    const startedAt = performance.now()
    const all = clients.map((_, group) => group)
    if (what === 'first') await Promise.all(all.map((group) => register(group, heartbeat)))
    else {
      const beats = Math.round((seconds / periodSeconds) * layout.brokers)
      const gapMs = (periodSeconds * 1000) / layout.brokers
      const sent: Promise<void>[] = []
      for (let beat = 0; beat < beats; beat++) {
        await sleep(Math.max(0, startedAt + beat * gapMs - performance.now()))
        sent.push(register(beat % layout.brokers, heartbeat))
      }
      await Promise.all(sent)
    }
    return figuresOf(tookMs, failed, performance.now() - startedAt)
  }
  for (;;) {
    const [task] = (await once(process, 'message')) as [BrokersTask]
    process.send!(await run(task))
  }
}

const lookupConnections = 8

async function lookups(namesrv: string, layout: Layout): Promise<void> {
  const doors = nodeDoors(silentLog)
  const clients = Array.from({ length: lookupConnections }, () => new RemotingClient({}, doors))
  for (;;) {
    const [{ perSecond }] = (await once(process, 'message')) as [LookupsTask]
    let isOn = true
    process.once('message', () => (isOn = false))
    const tookMs: number[] = []
    let failed = 0
    const startedAt = performance.now()
    const ask = async (count: number) => {
      const topic = topicName(layout, groupText(count % layout.brokers), (count * 7919) % layout.topics)
      const sentAt = performance.now()
      const command = { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, extFields: { topic } }
      const answer = await clients[count % lookupConnections]!.call(namesrv, command, callTimeoutMs).catch(
        () => undefined,
      )
      tookMs.push(performance.now() - sentAt)
      if (answer?.code !== ResponseCode.SUCCESS && answer?.code !== ResponseCode.TOPIC_NOT_EXIST) failed++
    }
    for (let count = 0; isOn; count++) {
      await sleep(Math.max(0, startedAt + (count * 1000) / perSecond - performance.now()))
      void ask(count)
    }
    process.send!(figuresOf(tookMs, failed, performance.now() - startedAt))
  }
}

if (process.send !== undefined) {
  const [what, namesrv, layout] = process.argv.slice(2)
  process.once('disconnect', () => process.exit())
  await (what === 'brokers' ? brokers : lookups)(namesrv!, JSON.parse(layout!) as Layout)
}
