/** A timer that was started; cancel is harmless after it fired. */
export interface Timer {
  cancel(): void
  /** Lets the process end although this timer is still waiting. */
  unref(): void
}

/** The one door to time. Wall time may jump; monotonic time never goes back. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
  /** Milliseconds, whole or not, from an arbitrary start; for measuring durations. */
  monotonicMs(): number
  /** Runs task once, after delayMs. */
  after(delayMs: number, task: () => void): Timer
  /** Runs task every periodMs, first after periodMs. */
  every(periodMs: number, task: () => void): Timer
  /** Runs task after the I/O events of this turn of the event loop were handled. */
  endOfTurn(task: () => void): void
  /**
   * Runs task when what runs now has returned, before other I/O events of this turn are handled. For what reaches the disk:
   * a simulated process that died meanwhile does it no more.
   */
  microtask(task: () => void): void
  /** @throws the signal's reason when it is aborted first */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}
