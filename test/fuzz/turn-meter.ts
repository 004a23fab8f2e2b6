import { nodeClock } from '../../src/base/node/index.ts'

/** Of the event loop of a process. */
export interface Turns {
  /** What the longest took of a processor. */
  busyMs: number
  /** How long at most it had work and no processor, or waited for a disk. */
  starvedMs: number
}

const tickMs = 10

/** Looks at the turns of this process's event loop from now on. */
export class TurnMeter {
  #longest: Turns = { busyMs: 0, starvedMs: 0 }
  #wallMs = nodeClock.monotonicMs()
  #cpuMs = cpuMs()

  constructor() {
    nodeClock.every(tickMs, () => this.#tick()).unref()
  }

  /** The longest since the last question. */
  take(): Turns {
    const { busyMs, starvedMs } = this.#longest
    this.#longest = { busyMs: 0, starvedMs: 0 }
    return { busyMs: Math.round(busyMs), starvedMs: Math.round(starvedMs) }
  }

  #tick(): void {
    const [wallMs, usedMs] = [nodeClock.monotonicMs(), cpuMs()]
    const busyMs = usedMs - this.#cpuMs
    const starvedMs = wallMs - this.#wallMs - busyMs - tickMs
    this.#longest.busyMs = Math.max(this.#longest.busyMs, busyMs)
    this.#longest.starvedMs = Math.max(this.#longest.starvedMs, starvedMs)
    this.#wallMs = wallMs
    this.#cpuMs = usedMs
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
