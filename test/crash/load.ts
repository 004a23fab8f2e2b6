import { setTimeout as sleep } from 'node:timers/promises'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { Admin, Producer, PushConsumer } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import type { StoredMessage } from '../../src/remoting/message/record.ts'
import { readQueue } from './read-queue.ts'

export const topic = 'Crash'
export const queueCount = 4
export const writerCount = 16
const lifeTimeoutMs = 60_000
const receiveTimeoutMs = 60_000
const routeTimeoutMs = 30_000

export interface CrashReport {
  /** How often each process was killed. */
  deaths: ReadonlyMap<string, number>
  /** Sends that were answered with SEND_OK. */
  acked: number
  /** Messages in the store: the acknowledged ones, and those whose answer a kill swallowed. */
  stored: number
  /** Acknowledged messages that are not where their sender was told. */
  missing: number
  /** Messages that are stored more than once: their producer tried again after a kill had swallowed the answer. */
  duplicates: number
  /** From a kill until a send that began after it was acknowledged; the longest, ms, by what was killed. */
  outageMsMax: Readonly<Record<string, number>>
  /** What must not be, the missing ones included; empty: all is well. */
  problems: string[]
}

/** What is killed at once, and started again. */
export interface Victim {
  what: string
  /** The processes that are counted. */
  members: readonly string[]
  slayAndRevive(): Promise<void>
}

/**
 * One victim after the other, until each process died so often.
 * @param deaths is told of each
 */
export function* victimsInTurn(
  victims: readonly Victim[],
  kills: number,
  deaths: Map<string, number>,
): Generator<Victim> {
  for (const name of victims.flatMap(({ members }) => members)) deaths.set(name, 0)
  for (let turn = 0; Math.min(...deaths.values()) < kills; turn++) {
    const victim = victims[turn % victims.length]!
    yield victim
    for (const name of victim.members) deaths.set(name, deaths.get(name)! + 1)
  }
}

/**
 * What clients do while servers are killed, and all they do about it is what clients do by themselves: 16 writers, half of them
 * with a producer that tries again, and one consumer.
 */
export class CrashLoad {
  readonly remoting: RemotingClient
  readonly admin: Admin
  readonly acked = new Map<string, { queueId: number; queueOffset: number }>()
  readonly #received = new Set<string>()
  readonly #producers: Producer[]
  readonly #consumer: PushConsumer
  readonly #output: () => string
  readonly #bodyBytesMin: number
  #writers: Promise<void>[] = []
  #isOver = false
  #killed: { what: string; atMs: number } | undefined
  readonly #outageMsMax: Record<string, number> = {}

  /** @param output what the servers printed, for errors */
  constructor(
    namesrvAddr: string,
    output: () => string,
    { sendTimeoutMs, bodyBytesMin = 64 }: { sendTimeoutMs: number; bodyBytesMin?: number },
  ) {
    this.#bodyBytesMin = bodyBytesMin
    const doors = nodeDoors(createLog('fatal', { component: 'crash' })) // lost connections are what this is about
    this.#output = output
    this.admin = new Admin({ namesrvAddr }, doors)
    this.remoting = new RemotingClient({}, doors)
    const options = { producerGroup: 'crash', namesrvAddr, sendTimeoutMs, compressBytesMin: Number.POSITIVE_INFINITY }
    this.#producers = [new Producer(options, doors), new Producer({ ...options, retryCountMax: 0 }, doors)]
    this.#consumer = new PushConsumer(
      {
        namesrvAddr,
        consumerGroup: 'crash-consumers',
        consumeFrom: 'first',
        subscriptions: { [topic]: '*' },
        onMessage: ({ body }) => void this.#received.add(idOf(body)),
      },
      doors,
    )
  }

  /** Makes the topic and lets the clients begin. */
  async start(brokerAddr: string): Promise<void> {
    await this.admin.createTopic(brokerAddr, {
      topicName: topic,
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
    })
    const until = Date.now() + routeTimeoutMs
    while (
      !(await this.admin.topicRoute(topic).then(
        () => true,
        () => false,
      ))
    ) {
      if (Date.now() > until) throw new Error(`no route of ${topic} within ${routeTimeoutMs} ms\n${this.#output()}`)
      await sleep(20)
    }
    await this.#consumer.start()
    this.#writers = Array.from({ length: writerCount }, (_, writer) => this.#write(writer))
  }

  /** Returns when so many more sends were acknowledged, and a random moment later: not always at the same point of a batch. */
  async more(count: number): Promise<void> {
    const wanted = this.acked.size + count
    const until = Date.now() + lifeTimeoutMs
    while (this.acked.size < wanted) {
      if (Date.now() > until)
        throw new Error(`${this.acked.size} of ${wanted} acknowledged within ${lifeTimeoutMs} ms\n${this.#output()}`)
      await sleep(5)
    }
    await sleep(Math.random() * 150)
  }

  /** Something that sends need is about to be killed. */
  killing(what: string): void {
    this.#killed = { what, atMs: performance.now() }
  }

  /** Returns when the consumer has everything that is acknowledged by now. */
  async consumed(): Promise<void> {
    const open = new Set(this.acked.keys())
    const until = Date.now() + receiveTimeoutMs
    for (;;) {
      for (const id of open) if (this.#received.has(id)) open.delete(id)
      if (open.size === 0) return
      if (Date.now() > until)
        throw new Error(`${open.size} messages, ${[...open][0]} among them, did not come within ${receiveTimeoutMs} ms`)
      await sleep(20)
    }
  }

  /** Lets the writers end. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#writers)
  }

  /** Reads every queue from its start and holds it against what was acknowledged. */
  async report(brokerAddr: string, deaths: ReadonlyMap<string, number>): Promise<CrashReport> {
    const problems: string[] = []
    const at = new Map<string, string>()
    for (let queueId = 0; queueId < queueCount; queueId++) {
      const messages = await readQueue(this.remoting, brokerAddr, topic, queueId)
      problems.push(...problemsOf(queueId, messages, this.#bodyBytesMin))
      for (const message of messages) at.set(`${queueId}/${message.queueOffset}`, idOf(message.body))
    }
    let missing = 0
    for (const [id, { queueId, queueOffset }] of this.acked) {
      const found = at.get(`${queueId}/${queueOffset}`)
      if (found === id) continue
      missing++
      problems.push(`acknowledged ${id} at ${queueId}/${queueOffset}, but there is ${found ?? 'nothing'}`)
    }
    const duplicates = at.size - new Set(at.values()).size
    const outageMsMax = this.#outageMsMax
    return { deaths, acked: this.acked.size, stored: at.size, missing, duplicates, outageMsMax, problems }
  }

  async close(): Promise<void> {
    this.#isOver = true
    await Promise.all([
      ...this.#producers.map((producer) => producer.close()),
      this.#consumer.close(),
      this.admin.close(),
      this.remoting.close(),
    ])
  }

  /** Sends numbered messages until it is over; one that is not acknowledged is given up, the next one has another number. */
  async #write(writer: number): Promise<void> {
    const producer = this.#producers[writer % this.#producers.length]!
    for (let number = 0; !this.#isOver; number++) {
      const id = `${writer}-${number}`
      const startedMs = performance.now()
      try {
        const { status, queue, queueOffset } = await producer.send({ topic, body: bodyOf(id, this.#bodyBytesMin) })
        if (status !== 'SEND_OK') continue
        this.acked.set(id, { queueId: queue.queueId, queueOffset })
        if (this.#killed === undefined || startedMs < this.#killed.atMs) continue
        const { what, atMs } = this.#killed
        this.#outageMsMax[what] = Math.max(this.#outageMsMax[what] ?? 0, Math.round(performance.now() - atMs))
        this.#killed = undefined
      } catch {
        await sleep(20) // the broker is dead or has just come back
      }
    }
  }
}

/** A body from which its id can be read, and whose every byte follows from it. */
function bodyOf(id: string, bytesMin: number): Buffer {
  const seed = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7)
  const filler = Buffer.alloc(bytesMin + (seed % 3000), id)
  return Buffer.concat([Buffer.from(`${id}|`), filler])
}

function idOf(body: Buffer): string {
  return body.subarray(0, Math.max(0, body.indexOf('|'))).toString()
}

/** Queue offsets have no gap, bodies are whole, and each writer's messages are in its order. */
function problemsOf(queueId: number, messages: StoredMessage[], bodyBytesMin: number): string[] {
  const problems: string[] = []
  const lastOf = new Map<string, number>()
  let phyOffset = -1
  messages.forEach((message, index) => {
    const where = `queue ${queueId}, message ${index}`
    const id = idOf(message.body)
    if (message.queueOffset !== index) problems.push(`${where}: has queueOffset ${message.queueOffset}`)
    if (message.phyOffset <= phyOffset)
      problems.push(`${where}: its phyOffset ${message.phyOffset} is not above ${phyOffset}`)
    phyOffset = message.phyOffset
    if (!message.body.equals(bodyOf(id, bodyBytesMin))) problems.push(`${where}: the body is not that of ${id}`)
    const [writer = '', number = ''] = id.split('-')
    const last = lastOf.get(writer) ?? -1
    if (Number(number) < last) problems.push(`${where}: ${id} comes after ${writer}-${last}`) // the same twice: a second try
    lastOf.set(writer, Number(number))
  })
  return problems
}

/** One line of figures. */
export function figuresOf({ deaths, acked, stored, missing, duplicates, outageMsMax }: CrashReport): string {
  const outages = Object.entries(outageMsMax).map(([what, ms]) => `${ms} ms (${what})`)
  const kills = [...deaths].map(([name, count]) => `${name} ${count} times`)
  return [
    `killed ${kills.join(', ')}: ${acked} acknowledged, ${missing} missing, ${stored} stored, ${duplicates} of them again`,
    `sends go on after at most ${outages.join(', ')}`,
  ].join('; ')
}
