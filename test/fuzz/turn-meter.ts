import { nodeClock } from '../../src/base/node/index.ts'

/** Of the event loop of a process. */
export interface Turns {
  /** What the longest took of a processor. */
  busyMs: number
  /** How long at most it had work and no processor, or waited for a disk. */
  starvedMs: number
}

const tickMs = 10
const starvedMsMin = 20 // timers are late by some

/** Looks at the turns of this process's event loop from now on. */
export class TurnMeter {
  #longest: Turns = { busyMs: 0, starvedMs: 0 }
  #starved: { endMs: number; ms: number }[] = [] // since the last question, oldest first
  #wallMs = nodeClock.monotonicMs()
  #cpuMs = cpuMs()
  readonly #timer = nodeClock.every(tickMs, () => this.#tick())

  constructor() {
    this.#timer.unref()
  }

  stop(): void {
    this.#timer.cancel()
  }

  /** The longest since the last question. */
  take(): Turns {
    const { busyMs, starvedMs } = this.#longest
    this.#longest = { busyMs: 0, starvedMs: 0 }
    this.#starved = []
    return { busyMs: Math.round(busyMs), starvedMs: Math.round(starvedMs) }
  }

  /** How much of a time it could run: all but what it was starved for. @param fromMs monotonic, as is toMs */
  fairMs(fromMs: number, toMs: number): number {
    let fairMs = toMs - fromMs
    for (const { endMs, ms } of this.#starved) {
      fairMs -= Math.max(0, Math.min(endMs, toMs) - Math.max(endMs - ms, fromMs))
    }
    return fairMs
  }

  #tick(): void {
    const [wallMs, usedMs] = [nodeClock.monotonicMs(), cpuMs()]
    const busyMs = usedMs - this.#cpuMs
    const starvedMs = wallMs - this.#wallMs - busyMs - tickMs
    this.#longest.busyMs = Math.max(this.#longest.busyMs, busyMs)
    this.#longest.starvedMs = Math.max(this.#longest.starvedMs, starvedMs)
    if (starvedMs > starvedMsMin) this.#starved.push({ endMs: wallMs, ms: starvedMs })
    this.#wallMs = wallMs
    this.#cpuMs = usedMs
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
