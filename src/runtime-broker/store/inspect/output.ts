import type { Writable } from 'node:stream'
import { OperatingError } from '../../../base/errors.ts'

/** Lines are written together: a system call for each would take longer than to make it. */
const gatheredCharsMax = 64 * 1024

/**
 * Lines for whoever reads the output of the program. A pipe takes 64 KiB; what is written beyond that waits in memory until
 * it was read, and is lost where the process exits before. So whoever writes much waits for room, and at the end for flush:
 * as long as the reader takes, who may be a person.
 */
export class Output {
  readonly #stream: Writable
  #gathered = ''
  #isFull = false
  #isGone = false
  #failure: OperatingError | undefined
  #wake = () => {}

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('drain', () => {
      this.#isFull = false
      this.#wake()
    })
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#isGone = true
      if (error.code !== 'EPIPE') {
        this.#failure ??= new OperatingError('FILE_FAILED', {
          operation: 'write',
          path: 'the output',
          code: error.code,
        })
      }
      this.#wake()
    })
  }

  /** @returns whether more is wanted: false when the reader is gone (head, less), or nothing can be written */
  line(text: string): boolean {
    if (this.#isGone) return false
    this.#gathered += `${text}\n`
    if (this.#gathered.length >= gatheredCharsMax) this.#send()
    return true
  }

  /** Resolves when what was written is read but for a little, or the reader is gone. @throws OperatingError FILE_FAILED */
  async room(): Promise<void> {
    this.#send()
    while (this.#isFull && !this.#isGone) await new Promise<void>((resolve) => (this.#wake = resolve))
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when all that was written is on its way, or the reader is gone. @throws OperatingError FILE_FAILED */
  async flush(): Promise<void> {
    await this.room()
    if (!this.#isGone) await new Promise<void>((resolve) => this.#stream.write('', () => resolve()))
    await this.room() // it may have failed meanwhile
  }

  #send(): void {
    if (this.#gathered === '' || this.#isGone) return
    if (!this.#stream.write(this.#gathered)) this.#isFull = true
    this.#gathered = ''
  }
}
