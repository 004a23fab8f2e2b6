import type { Peer } from '../test/peers/cluster.ts'

/** One measurement of one scenario on one implementation: figures by name. */
export interface Sample {
  scenario: string
  peer: Peer['name']
  round: number
  figures: Record<string, number>
  /** Cores that processes outside the measurement took meanwhile. */
  otherCores: number
}

/** What is asked of the ratio ours / base (Apache), by figure: at least this where more is better, at most this where less is. */
export type Bounds = Readonly<Record<string, number>>

/** How a figure is shown. */
export interface Figure {
  key: string
  title: string
  better: 'more' | 'less'
}

export const figures: Figure[] = [
  { key: 'sendsPerSecond', title: 'sends/s', better: 'more' },
  { key: 'messagesPerSecond', title: 'messages/s', better: 'more' },
  { key: 'p50Ms', title: 'p50 ms', better: 'less' },
  { key: 'p99Ms', title: 'p99 ms', better: 'less' },
  { key: 'throughP50Ms', title: 'sent to consumed, p50 ms', better: 'less' },
  { key: 'throughP99Ms', title: 'sent to consumed, p99 ms', better: 'less' },
  { key: 'brokerCpuMicros', title: 'broker CPU µs per message', better: 'less' },
  { key: 'slaveCpuMicros', title: 'slave CPU µs per message', better: 'less' },
  { key: 'brokerRssMiB', title: 'broker RSS MiB', better: 'less' },
  { key: 'namesrvRssMiB', title: 'NameServer RSS MiB', better: 'less' },
  { key: 'brokerAnonMiB', title: 'broker anonymous MiB', better: 'less' },
  { key: 'namesrvListenMs', title: 'NameServer listens, ms', better: 'less' },
  { key: 'registeredMs', title: 'broker registered, ms', better: 'less' },
  { key: 'firstSendMs', title: 'first send, ms after start', better: 'less' },
]

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export interface Row {
  scenario: string
  figure: Figure
  base: number
  ours: number
  rounds: number
  ratio: number
  bound: number | undefined
  /** undefined: no bound is set. */
  holds: boolean | undefined
}

/**
 * Medians by scenario and figure, and their ratios, in the order in which they were first measured.
 * @param bounds by scenario
 */
export function rowsOf(samples: readonly Sample[], bounds: ReadonlyMap<string, Bounds>): Row[] {
  const rows: Row[] = []
  for (const scenario of new Set(samples.map((sample) => sample.scenario))) {
    const valuesOf = (isOurs: boolean, key: string) =>
      samples
        .filter((sample) => sample.scenario === scenario && (sample.peer === 'ours') === isOurs)
        .map((sample) => sample.figures[key])
        .filter((value) => value !== undefined)
    for (const figure of figures) {
      const [base, ours] = [valuesOf(false, figure.key), valuesOf(true, figure.key)]
      if (base.length === 0 || ours.length === 0) continue
      const ratio = median(ours) / median(base)
      const bound = bounds.get(scenario)?.[figure.key]
      rows.push({
        scenario,
        figure,
        base: median(base),
        ours: median(ours),
        rounds: Math.min(base.length, ours.length),
        ratio,
        bound,
        holds: bound === undefined ? undefined : figure.better === 'more' ? ratio >= bound : ratio <= bound,
      })
    }
  }
  return rows
}

export function tableOf(rows: readonly Row[], baseTitle: string): string {
  const lines = rows.map(({ scenario, figure, base, ours, rounds, ratio, bound, holds }) => {
    const asked =
      bound === undefined ? '' : `${figure.better === 'more' ? '≥' : '≤'} ${short(bound)} ${holds ? '✓' : '✗'}`
    return `| ${scenario} | ${figure.title} | ${short(base)} | ${short(ours)} | **${short(ratio)}** | ${asked} | ${rounds} |`
  })
  return [
    `| | | ${baseTitle} | ours | ours / ${baseTitle.split(' ')[0]} | bound | rounds |`,
    '|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

function short(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 1000) return Math.round(value).toLocaleString('en')
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
