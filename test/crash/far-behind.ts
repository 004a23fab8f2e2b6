import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isOperatingError } from '../../src/base/errors.ts'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { Admin, Producer, PushConsumer } from '../../src/client/index.ts'
import { ourPeer } from '../peers/cluster.ts'
import { type Group, startGroup } from '../peers/group.ts'
import { differenceOfLogs } from './replica.ts'

const run = promisify(execFile)
const topic = 'FarBehind'
const queueCount = 4
/** Holds the whole log: a new slave begins with the last segment. */
const segmentBytes = 1 << 30
const fillerBytes = 64 << 10
const fillersAtOnce = 16
const bodyBytes = 1 << 10
const perSecond = 200
const beforeMs = 5_000
const catchUpMsMax = 180_000
const deliveryMsMax = 30_000
const routeMsMax = 30_000
const pollMs = 20
const evictMsMax = 60_000

/** What is too much, however slow the machine: that which was before is allowed ten times over. */
const p99MsMax = 1_000
const timesBefore = 10
const longestMsMax = 6_000
/** What the master may hold more of while it sends the log: pieces, and what the kernel has not taken yet. */
const memoryMiBMax = 32

interface Latencies {
  sendMs: number[]
  deliveryMs: number[]
  failed: number
}

/**
 * A master with a log of this length, none of it in memory, gets a slave that begins at zero, while a producer sends at a fixed
 * rate and a consumer reads. Neither may be starved: late answers count from when the send was due. The slave has the same log
 * in the end.
 */
export async function slaveFromZero(options: {
  dir: string
  logMiB: number
}): Promise<{ problems: string[]; figures: string }> {
  const group = await startGroup({
    peer: ourPeer,
    slavePeer: ourPeer,
    dir: options.dir,
    startsSlave: false,
    env: { BROKER_ROLE: 'ASYNC_MASTER' },
    brokerConf: { mappedFileSizeCommitLog: String(segmentBytes) },
  })
  const load = new SteadyLoad(group.namesrv)
  try {
    await load.start(group)
    await load.fill(options.logMiB)
    const before = await load.during(() => sleep(beforeMs))
    await forgetPages(group, options.logMiB)
    const memoryBefore = anonymousMiB(group)
    let memoryMiB = 0
    const startedMs = performance.now()
    let catchUpMs = 0
    const meanwhile = await load.during(async () => {
      await group.startSlave()
      await load.caughtUp(group, () => {
        memoryMiB = Math.max(memoryMiB, anonymousMiB(group) - memoryBefore)
      })
      catchUpMs = performance.now() - startedMs
    })
    await load.stop()
    await load.caughtUp(group, () => {}, 0)
    const problems = [...problemsOf(before, meanwhile, memoryMiB), ...differenceOfLogs(group)]
    const [first] = readdirSync(join(group.slaveStore, 'commitlog')).sort()
    if (Number(first) !== 0) problems.push(`the slave begins at ${first}`)
    const figures = [
      `${options.logMiB} MiB to a slave from zero in ${(catchUpMs / 1000).toFixed(1)} s`,
      `sends p99 ${ms(p99(before.sendMs))} before, ${ms(p99(meanwhile.sendMs))} (longest ${ms(longest(meanwhile.sendMs))}) meanwhile`,
      `deliveries p99 ${ms(p99(before.deliveryMs))} before, ${ms(p99(meanwhile.deliveryMs))} meanwhile`,
      `${meanwhile.sendMs.length} sends at ${perSecond}/s`,
      `${memoryMiB.toFixed(0)} MiB more in memory`,
    ].join('; ')
    return { problems, figures }
  } finally {
    await load.close()
    await group.stop()
  }
}

function problemsOf(before: Latencies, meanwhile: Latencies, memoryMiB: number): string[] {
  const problems: string[] = []
  if (meanwhile.failed > 0) problems.push(`${meanwhile.failed} sends failed`)
  for (const what of ['sendMs', 'deliveryMs'] as const) {
    const limitMs = Math.max(p99MsMax, timesBefore * p99(before[what]))
    if (p99(meanwhile[what]) > limitMs) {
      problems.push(`${what}: p99 ${ms(p99(meanwhile[what]))} meanwhile, ${ms(limitMs)} is allowed`)
    }
    if (longest(meanwhile[what]) > longestMsMax) problems.push(`${what}: one took ${ms(longest(meanwhile[what]))}`)
  }
  if (memoryMiB > memoryMiBMax) problems.push(`the master held ${memoryMiB.toFixed(0)} MiB more`)
  return problems
}

/** A producer that sends so many a second, whatever becomes of them, and a consumer. */
class SteadyLoad {
  readonly #admin: Admin
  readonly #producer: Producer
  readonly #consumer: PushConsumer
  readonly #dueAtMs = new Map<string, number>() // of messages that were not delivered yet
  #latencies: Latencies = { sendMs: [], deliveryMs: [], failed: 0 }
  #isOver = false
  #sending: Promise<void> | undefined

  constructor(namesrvAddr: string) {
    const doors = nodeDoors(createLog('fatal', { component: 'far-behind' }))
    this.#admin = new Admin({ namesrvAddr }, doors)
    this.#producer = new Producer(
      { namesrvAddr, producerGroup: 'far-behind', compressBytesMin: Number.POSITIVE_INFINITY },
      doors,
    )
    this.#consumer = new PushConsumer(
      {
        namesrvAddr,
        consumerGroup: 'far-behind-consumers',
        subscriptions: { [topic]: 'steady' },
        consumeFrom: 'first',
        onMessage: ({ body }) => this.#delivered(body),
      },
      doors,
    )
  }

  async start({ brokerAddr }: Group): Promise<void> {
    await this.#admin.createTopic(brokerAddr, {
      topicName: topic,
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
    })
    await within(routeMsMax, `a route of ${topic}`, async () =>
      this.#admin.topicRoute(topic).then(
        () => true,
        () => false,
      ),
    )
    await this.#consumer.start()
  }

  /** Makes the log so long, as fast as it goes; then sends begin, and go on until stop. */
  async fill(logMiB: number): Promise<void> {
    const body = Buffer.alloc(fillerBytes, 'filler ')
    let left = (logMiB << 20) / fillerBytes
    const one = async () => {
      while (left-- > 0) await this.#producer.send({ topic, body, tags: 'filler' })
    }
    await Promise.all(Array.from({ length: fillersAtOnce }, one))
    this.#sending = this.#send()
    await within(deliveryMsMax, 'the first deliveries', async () => this.#latencies.deliveryMs.length > perSecond)
  }

  /** @returns of what was due while work ran, and delivered or answered at last */
  async during(work: () => Promise<void>): Promise<Latencies> {
    const latencies: Latencies = { sendMs: [], deliveryMs: [], failed: 0 }
    this.#latencies = latencies
    await work()
    await within(deliveryMsMax, 'the last deliveries', async () => this.#dueAtMs.size < perSecond / 2)
    return latencies
  }

  /** Returns when a slave has the master's log, but for so much of it. @param look is called meanwhile */
  async caughtUp({ brokerAddr }: Group, look: () => void, lagBytesMax = 1 << 20): Promise<void> {
    await within(catchUpMsMax, 'a slave in sync', async () => {
      look()
      const { haConnectionInfo } = await this.#admin.haStatus(brokerAddr)
      return haConnectionInfo.some(({ diff }) => diff <= lagBytesMax)
    })
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#sending
    await within(deliveryMsMax, 'all deliveries', async () => this.#dueAtMs.size === 0)
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#sending
    await Promise.all([this.#producer.close(), this.#consumer.close(), this.#admin.close()])
  }

  async #send(): Promise<void> {
    const startedMs = performance.now()
    const underWay = new Set<Promise<void>>()
    for (let number = 0; !this.#isOver; ) {
      const dueMs = startedMs + (number * 1000) / perSecond
      if (performance.now() < dueMs) {
        await sleep(1)
        continue
      }
      const one = this.#sendOne(`${number++}|`, dueMs, this.#latencies).finally(() => underWay.delete(one))
      underWay.add(one)
    }
    await Promise.all(underWay)
  }

  async #sendOne(id: string, dueMs: number, latencies: Latencies): Promise<void> {
    this.#dueAtMs.set(id, dueMs)
    try {
      await this.#producer.send({ topic, body: id.padEnd(bodyBytes, '.'), tags: 'steady' })
      latencies.sendMs.push(performance.now() - dueMs)
    } catch (error) {
      if (!isOperatingError(error)) throw error
      this.#dueAtMs.delete(id)
      latencies.failed++
    }
  }

  #delivered(body: Buffer): void {
    const id = body.toString('latin1', 0, body.indexOf('|') + 1)
    const dueMs = this.#dueAtMs.get(id)
    if (dueMs === undefined) return // a second time
    this.#dueAtMs.delete(id)
    this.#latencies.deliveryMs.push(performance.now() - dueMs)
  }
}

/** The kernel keeps nothing of what the slave lacks in memory, but for the end that is written: it comes from the disk. */
async function forgetPages({ masterStore }: Group, logMiB: number): Promise<void> {
  const directory = join(masterStore, 'commitlog')
  const path = join(directory, readdirSync(directory).sort()[0]!)
  const dd = (...args: string[]) => run('dd', [...args, 'status=none'], { timeout: evictMsMax })
  await dd(`of=${path}`, 'conv=notrunc,fdatasync', 'count=0') // what is not on the disk cannot be forgotten
  await dd(`if=${path}`, 'of=/dev/null', 'iflag=nocache', 'bs=1M', `count=${logMiB}`)
}

function anonymousMiB(group: Group): number {
  const status = readFileSync(`/proc/${group.brokerPid()}/status`, 'latin1')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]) / 1024
}

async function within(msMax: number, what: string, isDone: () => Promise<boolean>): Promise<void> {
  for (const until = performance.now() + msMax; !(await isDone()); await sleep(pollMs)) {
    if (performance.now() > until) throw new Error(`${what} did not come within ${msMax} ms`)
  }
}

function p99(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? Number.POSITIVE_INFINITY
}

function longest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0)
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}
