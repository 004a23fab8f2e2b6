/** One measurement of one scenario on one implementation: figures by name. */
export interface Sample {
  scenario: string
  peer: 'apache' | 'ours'
  round: number
  figures: Record<string, number>
  /** Cores that processes outside the measurement took meanwhile. */
  otherCores: number
}

/** How a figure is shown and what issue asks of it: the median of ours over the median of Apache's. */
export interface Figure {
  key: string
  title: string
  /** 'more' or 'less' is better; the bound is on the ratio ours / Apache. */
  better: 'more' | 'less'
  bound?: number
}

export const figures: Figure[] = [
  { key: 'sendsPerSecond', title: 'sends/s', better: 'more', bound: 1.5 },
  { key: 'p50Ms', title: 'p50 ms', better: 'less' },
  { key: 'p99Ms', title: 'p99 ms', better: 'less' },
  { key: 'brokerCpuMicros', title: 'broker CPU µs per message', better: 'less', bound: 0.4 },
  { key: 'brokerRssMiB', title: 'broker RSS MiB', better: 'less', bound: 1 / 3 },
  { key: 'namesrvRssMiB', title: 'NameServer RSS MiB', better: 'less', bound: 1 / 3 },
  { key: 'brokerAnonMiB', title: 'broker anonymous MiB', better: 'less' },
  { key: 'namesrvListenMs', title: 'NameServer listens, ms', better: 'less' },
  { key: 'registeredMs', title: 'broker registered, ms', better: 'less' },
  { key: 'firstSendMs', title: 'first send, ms after start', better: 'less', bound: 1 / 5 },
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
  apache: number
  ours: number
  rounds: number
  ratio: number
  /** undefined: no bound is set. */
  holds: boolean | undefined
}

/** Medians by scenario and figure, and their ratios, in the order in which they were first measured. */
export function rowsOf(samples: readonly Sample[]): Row[] {
  const rows: Row[] = []
  for (const scenario of new Set(samples.map((sample) => sample.scenario))) {
    const valuesOf = (peer: Sample['peer'], key: string) =>
      samples
        .filter((sample) => sample.scenario === scenario && sample.peer === peer)
        .map((sample) => sample.figures[key])
        .filter((value) => value !== undefined)
    for (const figure of figures) {
      const [apache, ours] = [valuesOf('apache', figure.key), valuesOf('ours', figure.key)]
      if (apache.length === 0 || ours.length === 0) continue
      const ratio = median(ours) / median(apache)
      rows.push({
        scenario,
        figure,
        apache: median(apache),
        ours: median(ours),
        rounds: Math.min(apache.length, ours.length),
        ratio,
        holds:
          figure.bound === undefined
            ? undefined
            : figure.better === 'more'
              ? ratio >= figure.bound
              : ratio <= figure.bound,
      })
    }
  }
  return rows
}

export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ scenario, figure, apache, ours, rounds, ratio, holds }) => {
    const bound =
      figure.bound === undefined
        ? ''
        : `${figure.better === 'more' ? '≥' : '≤'} ${short(figure.bound)} ${holds ? '✓' : '✗'}`
    return `| ${scenario} | ${figure.title} | ${short(apache)} | ${short(ours)} | **${short(ratio)}** | ${bound} | ${rounds} |`
  })
  return [
    '| | | Apache 5.5.0 | ours | ours / Apache | bound | rounds |',
    '|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

function short(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 1000) return Math.round(value).toLocaleString('en')
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
