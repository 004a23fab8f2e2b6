import type { Clock } from '../../base/clock.ts'

interface Task {
  steps: Generator<void, unknown>
  bytes: number
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

/**
 * Runs tasks one after the other, each in steps: whatever else came is handled between two of them, so that nobody waits
 * for ten thousand topics to be read.
 */
export class StepQueue {
  readonly #clock: Pick<Clock, 'endOfTurn'>
  readonly #bytesMax: number
  #tasks: Task[] = []
  #bytes = 0

  /** @param bytesMax what tasks that wait may hold together */
  constructor(clock: Pick<Clock, 'endOfTurn'>, bytesMax: number) {
    this.#clock = clock
    this.#bytesMax = bytesMax
  }

  /**
   * The first step runs at once where nothing waits. Rejects with what the task throws.
   * @param bytes what the task holds until it is done
   * @returns undefined: what waits holds too much already
   */
  run<T>(steps: Generator<void, T>, bytes: number): Promise<T> | undefined {
    if (this.#tasks.length > 0 && this.#bytes + bytes > this.#bytesMax) return undefined
    this.#bytes += bytes
    return new Promise((resolve, reject) => {
      this.#tasks.push({ steps, bytes, resolve, reject })
      if (this.#tasks.length === 1) this.#step()
    })
  }

  #step(): void {
    const task = this.#tasks[0]!
    try {
      const { done, value } = task.steps.next()
      if (!done) {
        this.#clock.endOfTurn(() => this.#step())
        return
      }
      task.resolve(value as never)
    } catch (error) {
      task.reject(error)
    }
    this.#tasks.shift()
    this.#bytes -= task.bytes
    if (this.#tasks.length > 0) this.#clock.endOfTurn(() => this.#step())
  }
}
