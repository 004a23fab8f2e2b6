/**
 * How long a NameServer of ours is kept from answering by registrations, in CPU time of its thread: what else runs on the
 * machine does not count, which bench/namesrv.ts cannot say of its latencies.
 *   node bench/namesrv-turns.ts [--brokers 100] [--topics 10000] [--period 30]
 * Reads and merges the registrations as the server does, a turn of the event loop after the other, and prints for each kind
 * of them: CPU time, longest turn, and how long a lookup that comes at any moment waits for the turn under way.
 */
import { crc32 } from 'node:zlib'
import { readFlags, wholeNumber } from '../scripts/flags.ts'
import { peekDataVersion, registrationReader, writeRegisterBrokerBody } from '../src/remoting/body/register-broker.ts'
import { writeTopicRouteData } from '../src/remoting/body/route.ts'
import { topicConfig } from '../src/remoting/body/topic-config.ts'
import { encodeCommand, FrameDecoder } from '../src/remoting/frame.ts'
import { ourVersion } from '../src/remoting/version.ts'
import { BrokerRegistry } from '../src/runtime-broker/namesrv/broker-registry.ts'
import { Routes } from '../src/runtime-broker/namesrv/routes.ts'

const flags = readFlags(import.meta.filename, {
  brokers: { type: 'string', default: '100' },
  topics: { type: 'string', default: '10000' },
  period: { type: 'string', default: '30' },
})
const brokers = wholeNumber('brokers', flags.brokers)
const topics = wholeNumber('topics', flags.topics)
const periodMs = wholeNumber('period', flags.period) * 1000
const chunkBytes = 64 * 1024 // what a socket gives in one turn
const link = { close: () => {} }
const head = { code: 103, language: 'JAVA', version: ourVersion, opaque: 1, flag: 0, remark: undefined, extFields: {} }

/** CPU time of this thread, ms. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

const placeholder = '#####'
const texts = new Map<number, string>() // of all brokers, by counter

function bodyOf(group: number, isShared: boolean, counter: number): Buffer {
  const text = texts.get(counter) ?? textOf(counter)
  texts.set(counter, text)
  return Buffer.from(isShared ? text : text.replaceAll(placeholder, String(group).padStart(placeholder.length, '0')))
}

function textOf(counter: number): string {
  const names = Array.from({ length: topics }, (_, index) => topicName(placeholder, index))
  const queues = { readQueueNums: 8, writeQueueNums: 8 }
  const topicConfigTable = new Map(names.map((name) => [name, topicConfig(name, queues)]))
  const dataVersion = { counter, stateVersion: 0, timestamp: 1_700_000_000_000 }
  const topicConfigSerializeWrapper = { dataVersion, topicConfigTable }
  return writeRegisterBrokerBody({ topicConfigSerializeWrapper, filterServerList: [] })
}

function topicName(group: string, index: number): string {
  return `orders-of-${group}-${index}`
}

/** One registration, as requests.ts handles it. @returns the CPU time of each turn */
function register(registry: BrokerRegistry, group: number, body: Buffer): number[] {
  const turns: number[] = []
  const turn = <T>(act: () => T): T => {
    const startedAt = cpuMs()
    const result = act()
    turns.push(cpuMs() - startedAt)
    return result
  }
  const frame = encodeCommand({ ...head, body })
  const decoder = new FrameDecoder()
  for (let at = 0; at < frame.length; at += chunkBytes)
    turn(() => decoder.push(frame.subarray(at, at + chunkBytes), () => {}))
  const broker = { clusterName: 'C', brokerName: `b${group}`, brokerId: 0, brokerAddr: `b${group}:10911` }
  const print = { crc32: 0, bytes: body.length }
  const version = turn(() => {
    print.crc32 = crc32(body)
    return peekDataVersion(body)!
  })
  const more = { haServerAddr: 'h:1', enableActingMaster: false, zoneName: undefined, timeoutMs: undefined }
  let read = { dataVersion: version, topics: undefined, mappings: new Map(), filterServers: [] as string[] }
  if (!turn(() => registry.hasMerged(broker, true, version, print)))
    read = inTurns(registrationReader(body, { isCompressed: false, version: ourVersion }), turn) as never
  inTurns(registry.registering({ ...broker, ...more, ...read, print }, link, 0), turn)
  return turns
}

function inTurns<T>(steps: Generator<void, T>, turn: <R>(act: () => R) => R): T {
  for (;;) {
    const step = turn(() => steps.next())
    if (step.done) return step.value
  }
}

/** How long one who comes at any moment waits for the end of the turn under way, at that share of moments. */
function waitMs(turns: readonly number[], withinMs: number, share: number): number {
  let [least, most] = [0, Math.max(...turns)]
  for (let halvings = 0; halvings < 40; halvings++) {
    const middle = (least + most) / 2
    const longer = turns.reduce((sum, ms) => sum + Math.max(0, ms - middle), 0) / withinMs
    if (longer > 1 - share) least = middle
    else most = middle
  }
  return most
}

for (const isShared of [true, false]) {
  const routes = new Routes()
  const registry = new BrokerRegistry(routes)
  console.log(`${brokers} brokers, ${topics} topics each, ${isShared ? 'the same' : 'their own'}:`)
  for (const kind of ['first', 'unchanged', 'changed'] as const) {
    const turns: number[] = []
    for (let group = 0; group < brokers; group++)
      turns.push(...register(registry, group, bodyOf(group, isShared, kind === 'changed' ? 2 : 1)))
    const sum = turns.reduce((all, ms) => all + ms, 0)
    const within = kind === 'first' ? sum : periodMs // at the first, one after the other
    const text = (ms: number) => ms.toFixed(2)
    console.log(
      `  ${kind}: ${text(sum / brokers)} ms each, ${((100 * sum) / periodMs).toFixed(1)} % of a core; longest turn ${text(Math.max(...turns))} ms; ` +
        `a lookup waits ${text(waitMs(turns, within, 0.99))} ms (p99), ${text(waitMs(turns, within, 0.999))} ms (p99.9)`,
    )
  }
  const startedAt = cpuMs()
  const count = 2000
  for (let at = 0; at < count; at++) {
    const route = routes.routeOf(
      topicName(isShared ? placeholder : String(at % brokers).padStart(placeholder.length, '0'), (at * 7919) % topics),
    )!
    encodeCommand({ ...head, body: Buffer.from(writeTopicRouteData(route, true)) })
  }
  console.log(`  a lookup takes ${((1000 * (cpuMs() - startedAt)) / count).toFixed(0)} µs; ${routes.topicCount} topics`)
}
