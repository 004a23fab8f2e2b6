import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JavaProject, prepareJava } from '../../conformance/java.ts'
import type { Flow, FlowOptions, FlowReport, OpenFlow } from './flow.ts'
import { say } from './kube.ts'

const flowStartMs = 240_000 // a Java that starts beside fifty other processes
const flowAnswerMs = 90_000 // it waits for messages for 60 s itself
const outputCharsMax = 4000

export interface Sent {
  acked: number
  refusals: number
  /** Queues that took messages. */
  queues: number
  perBroker: Record<string, number>
  lastRefusal: string
}
export interface Received {
  expected: number
  missing: number
  repeated: number
  someMissing: string
}

export interface SendOptions {
  namesrv: string
  topic: string
  prefix: string
  count: number
  seconds?: number
}
export interface ReceiveOptions {
  namesrv: string
  topic: string
  group: string
  /** How many of a prefix. */
  expect: Record<string, number>
  seconds?: number
}

/** A client that sends and receives; both end within a time, 120 s unless told otherwise. */
export interface Talker {
  /** Sends prefix0…prefix(count-1); what is refused is sent again until it is acknowledged. @throws when time is up */
  send(options: SendOptions): Promise<Sent>
  /** Receives in a consumer group until all of `expect` have come. @throws when time is up */
  receive(options: ReceiveOptions): Promise<Received>
  /** Sends and receives until it is stopped. */
  flow: OpenFlow
}

/** Apache's Java client, outside of Kubernetes: it reaches Services and pods by their addresses. */
export class Talk implements Talker {
  readonly #java: JavaProject

  private constructor(java: JavaProject) {
    this.#java = java
  }

  static async prepare(): Promise<Talk> {
    return new Talk(await prepareJava(say))
  }

  send(options: SendOptions): Promise<Sent> {
    return this.#run('send', { ...options })
  }

  receive(options: ReceiveOptions): Promise<Received> {
    const expect = Object.entries(options.expect)
      .map(([prefix, count]) => `${prefix}:${count}`)
      .join(',')
    return this.#run('receive', { ...options, expect })
  }

  /** It ends with this process, however that ends. */
  async flow(options: FlowOptions): Promise<Flow> {
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, value])
    const child = this.#java.start('conformance.Talk', ['flow', ...args])
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    let output = ''
    const keep = (text: string) => {
      output = `${output}${text}`.slice(-outputCharsMax)
    }
    child.stderr.setEncoding('utf8').on('data', keep)
    child.stdin.on('error', () => {}) // that it ended is told below
    const waiting: ((report: FlowReport) => void)[] = []
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) waiting.shift()?.(JSON.parse(line))
      else keep(`${line}\n`)
    })
    async function answer(timeoutMs: number): Promise<FlowReport> {
      const line = new Promise<FlowReport>((resolve) => waiting.push(resolve))
      const report = await Promise.race([line, ended, sleep(timeoutMs, undefined, { ref: false })])
      if (!report) throw new Error(`the Java client that sends and receives all the time said nothing\n${output}`)
      return report
    }
    await answer(flowStartMs)
    return {
      settle() {
        child.stdin.write('settle\n')
        return answer(flowAnswerMs)
      },
      async stop() {
        child.stdin.end()
        await Promise.race([ended, sleep(5000, undefined, { ref: false })])
        child.kill('SIGKILL')
      },
    }
  }

  async #run<T>(verb: 'send' | 'receive', options: Record<string, unknown> & { seconds?: number }): Promise<T> {
    const seconds = options.seconds ?? 120
    const args = Object.entries({ ...options, seconds }).flatMap(([key, value]) => [`--${key}`, String(value)])
    const { stdout, stderr, code } = await this.#java.java('conformance.Talk', [verb, ...args], {
      timeoutMs: (seconds + 60) * 1000,
    })
    const line = stdout.split('\n').find((text) => text.startsWith('{'))
    if (code !== 0 || line === undefined)
      throw new Error(`the Java client could not ${verb} all:\n${stdout}\n${stderr}`)
    return JSON.parse(line)
  }
}
