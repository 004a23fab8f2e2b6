import type { Clock, Timer } from '../base/clock.ts'
import { OperatingError } from '../base/errors.ts'
import type { Command } from './command.ts'

interface Call {
  code: number
  timeoutMs: number
  deadlineMs: number // monotonic
  resolve(response: Command): void
  reject(error: OperatingError): void
}

/** The requests of one connection that wait for their response. One timer serves all their deadlines. */
export class Calls {
  readonly #clock: Clock
  readonly #countMax: number
  readonly #remote: string
  readonly #expired: (sinceMs: number) => void
  readonly #waiting = new Map<number, Call>() // by opaque
  #lastOpaque = 0
  #timer: Timer | undefined
  #timerAtMs = Number.POSITIVE_INFINITY

  /**
   * @param remote the peer, as errors name it
   * @param expired told, after calls ended without an answer, when the last of them began (monotonic)
   */
  constructor(clock: Clock, countMax: number, remote: string, expired: (sinceMs: number) => void) {
    this.#clock = clock
    this.#countMax = countMax
    this.#remote = remote
    this.#expired = expired
  }

  get count(): number {
    return this.#waiting.size
  }

  nextOpaque(): number {
    this.#lastOpaque = (this.#lastOpaque + 1) & 0x7fff_ffff
    return this.#lastOpaque
  }

  /**
   * @param opaque of nextOpaque
   * @throws OperatingError TOO_MANY_REQUESTS at once; the promise rejects with REQUEST_TIMEOUT or what fail is given
   */
  wait(opaque: number, code: number, timeoutMs: number): Promise<Command> {
    if (this.#waiting.size >= this.#countMax) {
      throw new OperatingError('TOO_MANY_REQUESTS', { remote: this.#remote, code, countMax: this.#countMax })
    }
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs
    if (deadlineMs < this.#timerAtMs) this.#expireAt(deadlineMs)
    return new Promise((resolve, reject) => {
      this.#waiting.set(opaque, { code, timeoutMs, deadlineMs, resolve, reject })
    })
  }

  /** @returns false when nobody waits for this response any more */
  settle(response: Command): boolean {
    const call = this.#waiting.get(response.opaque)
    if (call === undefined) return false
    this.#waiting.delete(response.opaque)
    call.resolve(response)
    return true
  }

  /** Ends all waiting. */
  fail(reason: (code: number) => OperatingError): void {
    this.#timer?.cancel()
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const calls = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const call of calls) call.reject(reason(call.code))
  }

  #expireAt(atMs: number): void {
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    this.#timer = this.#clock.after(Math.max(1, atMs - this.#clock.monotonicMs()), () => this.#expire())
  }

  // A timer mostly finds its own call long answered; then the earliest of the others is next.
  #expire(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    let sinceMs: number | undefined
    for (const [opaque, call] of this.#waiting) {
      if (call.deadlineMs > nowMs) {
        nextMs = Math.min(nextMs, call.deadlineMs)
        continue
      }
      this.#waiting.delete(opaque)
      sinceMs = Math.max(sinceMs ?? 0, call.deadlineMs - call.timeoutMs)
      const { code, timeoutMs } = call
      call.reject(new OperatingError('REQUEST_TIMEOUT', { remote: this.#remote, code, timeoutMs }))
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#expireAt(nextMs)
    if (sinceMs !== undefined) this.#expired(sinceMs)
  }
}
