import { OperatingError } from '../../base/errors.ts'

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The delays of setting messageDelayLevel. Level 1 is the first; queue level − 1 of the schedule topic holds its messages. */
export class DelayLevels {
  /** In the order of the levels. */
  readonly delaysMs: readonly number[]

  /**
   * @param text such as `1s 5s 10s`: units s, m, h, d
   * @throws OperatingError SETTING_INVALID
   */
  constructor(text: string) {
    this.delaysMs = text
      .trim()
      .split(/\s+/)
      .map((word) => {
        const match = /^(\d{1,9})([smhd])$/.exec(word)
        if (match === null) {
          throw new OperatingError('SETTING_INVALID', {
            key: 'messageDelayLevel',
            received: word,
            fits: '1s 5s 1m 2h 1d',
          })
        }
        return Number(match[1]) * unitMs[match[2]!]!
      })
  }

  get max(): number {
    return this.delaysMs.length
  }

  /** The level that a message asking for level gets: at most the highest. */
  clamp(level: number): number {
    return Math.min(level, this.max)
  }

  /** Delay of a level from 1 to max, in ms. */
  delayMs(level: number): number {
    return this.delaysMs[level - 1]!
  }
}
