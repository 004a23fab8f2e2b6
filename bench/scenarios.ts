import type { LoadResult } from './load-client.ts'
import type { Bounds } from './report.ts'

/** Which clusters a scenario is measured on: a pair of them, Apache's and ours, for each of these. */
export type Bed = 'asyncFlush' | 'syncFlush' | 'syncMaster'

export interface Scenario {
  title: string
  bed: Bed
  /** Command and flags of the load client, without how long. */
  args: readonly string[]
  /** undefined: it ends by itself, and needs its first run for warming up. */
  secondsFactor?: number
  /** How often a round measures each side, where figures vary by as much as their bound is near; 1 without it. */
  turns?: number
  bounds: Bounds
  figuresOf(result: LoadResult): Record<string, number>
}

const send = (...args: string[]) => ['send', '--topic', 'LoadTest', '--size', '1024', ...args]
const cpuMicros = (result: LoadResult, process: string) => result.proc[process].cpuSper100k * 10

const sendFigures = (result: LoadResult) => ({
  sendsPerSecond: result.tps,
  p50Ms: result.p50ms,
  p99Ms: result.p99ms,
  brokerCpuMicros: cpuMicros(result, 'broker'),
})

/** With these to send at a rate that both carry easily, only latency and CPU tell them apart. */
const rateFigures = (result: LoadResult) => {
  const { p50Ms, p99Ms, brokerCpuMicros } = sendFigures(result)
  return { p50Ms, p99Ms, brokerCpuMicros }
}

export const backlogTopic = 'Backlog'

export function scenarios(backlogCount: number): Scenario[] {
  return [
    {
      title: 'sync send, 1 KiB, 16 threads',
      bed: 'asyncFlush',
      args: send('--mode', 'sync', '--threads', '16'),
      secondsFactor: 1,
      bounds: { sendsPerSecond: 1.5, brokerCpuMicros: 0.4 },
      figuresOf: sendFigures,
    },
    {
      title: 'sync send, 1 KiB, 64 threads',
      bed: 'asyncFlush',
      args: send('--mode', 'sync', '--threads', '64'),
      secondsFactor: 0.6,
      turns: 3,
      bounds: { sendsPerSecond: 2, brokerCpuMicros: 0.4 },
      figuresOf: sendFigures,
    },
    {
      title: 'async send, 1 KiB, 1024 in flight',
      bed: 'asyncFlush',
      args: send('--mode', 'async', '--inflight', '1024'),
      secondsFactor: 0.6,
      turns: 3,
      bounds: { sendsPerSecond: 2, brokerCpuMicros: 0.4 },
      figuresOf: sendFigures,
    },
    {
      title: 'send in batches of 32, 1 KiB each, 4 threads',
      bed: 'asyncFlush',
      args: send('--mode', 'batch', '--batch', '32', '--threads', '4'),
      secondsFactor: 0.5, // 100 MB a second for each side: the disk is shared
      bounds: { sendsPerSecond: 1.2, brokerCpuMicros: 0.6 },
      figuresOf: sendFigures,
    },
    {
      title: 'consume a backlog, 1 KiB, 20 threads',
      bed: 'asyncFlush',
      args: ['consume', '--topic', backlogTopic, '--count', String(backlogCount), '--seconds', '120'],
      bounds: { messagesPerSecond: 1, brokerCpuMicros: 0.6 },
      figuresOf: (result) => ({ messagesPerSecond: result.tps, brokerCpuMicros: cpuMicros(result, 'broker') }),
    },
    {
      title: 'consume while 4,000 a second are sent, 1 KiB',
      bed: 'asyncFlush',
      args: ['e2e', '--topic', 'EndToEnd', '--size', '1024', '--rate', '4000'],
      secondsFactor: 1,
      bounds: { brokerCpuMicros: 0.6 },
      figuresOf: (result) => ({
        throughP50Ms: result.e2ep50ms,
        throughP99Ms: result.e2ep99ms,
        brokerCpuMicros: cpuMicros(result, 'broker'),
      }),
    },
    {
      title: '1,000 sends a second, 1 KiB',
      bed: 'asyncFlush',
      args: send('--mode', 'async', '--rate', '1000'),
      secondsFactor: 1.5,
      bounds: { p99Ms: 1 },
      figuresOf: rateFigures,
    },
    {
      title: '4,000 sends a second, 1 KiB',
      bed: 'asyncFlush',
      args: send('--mode', 'async', '--rate', '4000'),
      secondsFactor: 1,
      bounds: { p99Ms: 1 },
      figuresOf: rateFigures,
    },
    {
      title: 'SYNC_FLUSH, sync send, 1 KiB, 16 threads',
      bed: 'syncFlush',
      args: send('--mode', 'sync', '--threads', '16'),
      secondsFactor: 1,
      bounds: { sendsPerSecond: 1, brokerCpuMicros: 0.5 },
      figuresOf: sendFigures,
    },
    {
      title: 'SYNC_MASTER with a slave, sync send, 1 KiB, 16 threads',
      bed: 'syncMaster',
      args: send('--mode', 'sync', '--threads', '16'),
      secondsFactor: 1,
      bounds: { sendsPerSecond: 1, brokerCpuMicros: 0.5 },
      figuresOf: (result) => ({ ...sendFigures(result), slaveCpuMicros: cpuMicros(result, 'slave') }),
    },
  ]
}
