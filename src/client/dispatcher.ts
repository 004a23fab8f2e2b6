import type { Held } from './process-queue.ts'

/** Hands messages to the handler in the order of arrival, at most countMax at a time. Flow control bounds those waiting. */
export class Dispatcher {
  readonly #countMax: number
  readonly #consume: (held: Held) => Promise<void>
  #waiting: Held[] = []
  #first = 0
  #running = 0
  #idle: (() => void) | undefined

  /** @param consume must not reject */
  constructor(countMax: number, consume: (held: Held) => Promise<void>) {
    this.#countMax = countMax
    this.#consume = consume
  }

  add(held: readonly Held[]): void {
    this.#waiting.push(...held)
    this.#run()
  }

  /** Forgets what waits; resolves when nothing runs any more. */
  stop(): Promise<void> {
    this.#waiting.length = 0
    this.#first = 0
    if (this.#running === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#idle = resolve
    })
  }

  #run(): void {
    while (this.#running < this.#countMax && this.#first < this.#waiting.length) {
      const held = this.#waiting[this.#first++]!
      if (held.owner.isDropped) continue
      this.#running++
      void this.#consume(held).then(() => {
        this.#running--
        if (this.#running === 0) this.#idle?.()
        this.#run()
      })
    }
    if (this.#first === this.#waiting.length || this.#first >= compactCount) {
      this.#waiting = this.#waiting.slice(this.#first)
      this.#first = 0
    }
  }
}

const compactCount = 1_024
