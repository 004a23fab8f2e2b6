/** Something that will happen. */
interface Event {
  atMs: number
  order: number
  task: (() => void) | undefined // undefined: cancelled
}

export interface Scheduled {
  cancel(): void
}

/**
 * Simulated time: events in the order of their times, those of one time in the order they were asked for. After each event
 * all promises settle before the next; when all events of one moment have run, the turn of the event loop ends.
 */
export class Timeline {
  #nowMs = 0
  #order = 0
  readonly #heap: Event[] = []
  #endOfTurn: (() => void)[] = []
  /** Told what an event threw: a bug of whoever asked for it. */
  onError: (error: unknown) => void = (error) => {
    throw error
  }
  /** Events that ran. */
  eventCount = 0

  get nowMs(): number {
    return this.#nowMs
  }

  /** @param delayMs negative: none */
  after(delayMs: number, task: () => void): Scheduled {
    const event: Event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, task }
    this.#push(event)
    return {
      cancel: () => {
        event.task = undefined
      },
    }
  }

  /** Runs task after all events of this moment. */
  endOfTurn(task: () => void): void {
    this.#endOfTurn.push(task)
  }

  /**
   * Lets time pass.
   * @param untilMs the end, on this timeline
   * @param isDone looked at after each turn: true ends it before
   */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    await settled()
    for (;;) {
      await this.#endTurns()
      if (isDone()) return
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#nowMs = next.atMs
      while (this.#heap[0] !== undefined && this.#heap[0].atMs <= this.#nowMs) {
        const { task } = this.#pop()
        if (task === undefined) continue
        this.#do(task)
        await settled()
      }
    }
    this.#nowMs = untilMs
  }

  async #endTurns(): Promise<void> {
    while (this.#endOfTurn.length > 0) {
      const tasks = this.#endOfTurn
      this.#endOfTurn = []
      for (const task of tasks) this.#do(task)
      await settled()
    }
  }

  #do(task: () => void): void {
    this.eventCount++
    try {
      task()
    } catch (error) {
      this.onError(error)
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    for (let parent = (at - 1) >> 1; at > 0 && isBefore(event, heap[parent]!); at = parent, parent = (at - 1) >> 1) {
      heap[at] = heap[parent]!
    }
    heap[at] = event
  }

  #pop(): Event {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (isBefore(last, heap[child]!)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}

/** Resolves when no promise has anything left to run: none of them waits for the real world. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
