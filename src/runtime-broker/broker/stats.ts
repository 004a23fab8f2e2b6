import type { Clock, Timer } from '../../base/clock.ts'
import { RateMeter } from './rate-meter.ts'

/** Windows of 10 s, 1 min and 10 min, in slots of RateMeter. */
const windows = [1, 6, 60] as const
const dayCheckPeriodMs = 60_000
/** Groups and topics whose consumption is metered. */
const meterCountMax = 100_000

/** What one broker counts about itself, for GET_BROKER_RUNTIME_INFO and /metrics. */
export class Stats {
  readonly puts = new RateMeter(60)
  readonly gets = new RateMeter(60) // messages handed out
  readonly getHits = new RateMeter(60) // pulls that found messages
  readonly getMisses = new RateMeter(60)
  readonly #consumed = new Map<string, RateMeter>() // topic@group
  readonly #clock: Clock
  readonly #dayTimer: Timer
  #day: string
  #putMsMax = 0
  #oldestPutMs: number | undefined // when what was answered in this turn first came
  #atMorning = { puts: 0, gets: 0, putsYesterday: 0, getsYesterday: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
    this.#day = this.#today()
    this.#dayTimer = clock.every(dayCheckPeriodMs, () => this.#checkDay())
    this.#dayTimer.unref()
  }

  /** @param receivedAtMs monotonic; for all that is answered in one turn the clock is asked once, when the turn is over */
  notePut(count: number, now: number, receivedAtMs: number): void {
    this.puts.add(count, now)
    if (this.#oldestPutMs === undefined) queueMicrotask(this.#measurePut)
    if (this.#oldestPutMs === undefined || receivedAtMs < this.#oldestPutMs) this.#oldestPutMs = receivedAtMs
  }

  readonly #measurePut = (): void => {
    this.#putMsMax = Math.max(this.#putMsMax, this.#clock.monotonicMs() - this.#oldestPutMs!)
    this.#oldestPutMs = undefined
  }

  noteGet(topic: string, consumerGroup: string, count: number): void {
    const now = this.#clock.now()
    if (count === 0) {
      this.getMisses.add(1, now)
      return
    }
    this.getHits.add(1, now)
    this.gets.add(count, now)
    const key = `${topic}@${consumerGroup}`
    let meter = this.#consumed.get(key)
    if (meter === undefined) {
      if (this.#consumed.size >= meterCountMax) return
      this.#consumed.set(key, (meter = new RateMeter()))
    }
    meter.add(count, now)
  }

  /** Messages per second that the group pulled of the topic, over the last minute. */
  consumeTps(topic: string, consumerGroup: string): number {
    return this.#consumed.get(`${topic}@${consumerGroup}`)?.perSecond(this.#clock.now()) ?? 0
  }

  forgetTopic(topic: string): void {
    for (const key of this.#consumed.keys()) if (key.startsWith(`${topic}@`)) this.#consumed.delete(key)
  }

  /** Longest time from a send's arrival to its answer, in ms. */
  get putMsMax(): number {
    return this.#putMsMax
  }

  /** Three rates as brokerStatus prints them: over 10 s, 1 min and 10 min. */
  rates(...meters: RateMeter[]): string {
    const now = this.#clock.now()
    return windows.map((slots) => meters.reduce((sum, meter) => sum + meter.perSecond(now, slots), 0)).join(' ')
  }

  get totals(): { putsAtMorning: number; getsAtMorning: number; putsYesterday: number; getsYesterday: number } {
    const { puts, gets, putsYesterday, getsYesterday } = this.#atMorning
    return { putsAtMorning: puts, getsAtMorning: gets, putsYesterday, getsYesterday }
  }

  close(): void {
    this.#dayTimer.cancel()
  }

  #today(): string {
    return new Date(this.#clock.now()).toDateString()
  }

  #checkDay(): void {
    const today = this.#today()
    if (today === this.#day) return
    this.#day = today
    const { puts, gets } = this.#atMorning
    this.#atMorning = { puts: this.puts.total, gets: this.gets.total, putsYesterday: puts, getsYesterday: gets }
  }
}
