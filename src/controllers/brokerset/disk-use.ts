import type { Doors } from '../../base/doors.ts'
import { messageOf } from '../../base/errors.ts'
import type { MqAdmin } from '../admin.ts'

/** A broker is asked in one pass of those that come every 30 s, not in each of those that come every second. */
export const askEveryMs = 25_000
const brokersMax = 4096

interface Answers {
  askedMs: number
  ratio: number | undefined
  /** The answer before that. */
  former: number | undefined
}

/** How full the volumes of brokers are, as they said it not long ago. */
export class DiskUse {
  readonly #admin: Pick<MqAdmin, 'diskUsedRatio'>
  readonly #doors: Pick<Doors, 'clock' | 'log'>
  readonly #answers = new Map<string, Answers>() // by brokerAddr, the one asked longest ago first

  constructor(admin: Pick<MqAdmin, 'diskUsedRatio'>, doors: Pick<Doors, 'clock' | 'log'>) {
    this.#admin = admin
    this.#doors = doors
  }

  /**
   * The lower one of the last two answers, 0 to 1: a segment that is begun before an old one goes fills a small volume for
   * seconds. undefined: the broker does not say, or does not answer.
   */
  async of(brokerAddr: string): Promise<number | undefined> {
    const last = this.#answers.get(brokerAddr)
    const nowMs = this.#doors.clock.monotonicMs()
    if (last === undefined || nowMs - last.askedMs >= askEveryMs) {
      this.#remember(brokerAddr, { askedMs: nowMs, ratio: await this.#ask(brokerAddr), former: last?.ratio })
    }
    const { ratio, former } = this.#answers.get(brokerAddr) ?? {}
    return ratio === undefined ? undefined : Math.min(ratio, former ?? ratio)
  }

  async #ask(brokerAddr: string): Promise<number | undefined> {
    try {
      return await this.#admin.diskUsedRatio(brokerAddr)
    } catch (error) {
      this.#doors.log.debug({ brokerAddr, err: messageOf(error) }, 'the broker does not say how full its volume is')
      return undefined
    }
  }

  #remember(brokerAddr: string, answers: Answers): void {
    this.#answers.delete(brokerAddr)
    this.#answers.set(brokerAddr, answers)
    const [oldest] = this.#answers.keys()
    if (this.#answers.size > brokersMax && oldest !== undefined) this.#answers.delete(oldest)
  }
}
