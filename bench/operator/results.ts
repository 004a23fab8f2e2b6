/** One figure that was measured. */
export interface Figure {
  what: string
  figure: string
  value: number
  /** The bound; absent: it is shown only. */
  most?: number
  /** What else is to be known of it. */
  detail: string
}

export class Figures {
  readonly #figures: Figure[] = []

  add(figure: Figure): void {
    this.#figures.push(figure)
  }

  lineOf({ what, figure, value, most, detail }: Figure): string {
    const bound = most === undefined ? '' : value <= most ? ` (≤ ${most})` : ` (MISSED: ≤ ${most})`
    return `${what}: ${figure} ${short(value)}${bound}${detail && `; ${detail}`}`
  }

  table(): string {
    const lines = this.#figures.map(({ what, figure, value, most, detail }) => {
      const bound = most === undefined ? '' : `≤ ${most} ${value <= most ? '✓' : '✗'}`
      return `| ${what} | ${figure} | **${short(value)}** | ${bound} | ${detail} |`
    })
    return ['| | | measured | bound | |', '|---|---|---|---|---|', ...lines].join('\n')
  }
}

function short(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1)
}
