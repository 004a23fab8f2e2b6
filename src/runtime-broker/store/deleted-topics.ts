import { OperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'

/** Deletions that are remembered; beyond it the oldest are forgotten, and a rebuild would bring those topics back. */
const rememberedMax = 20_000

/**
 * Which topics were deleted, and where the log ended then: their records stay in the log until retention takes them, and
 * queues that are rebuilt from the log must not bring them back. A JSON file, `{"topic": phyOffset}`.
 */
export class DeletedTopics {
  readonly #files: Files
  readonly #path: string
  readonly #ends: Map<string, number>

  /** @throws OperatingError STORE_CORRUPT when the file is no JSON object */
  constructor(files: Files, path: string, logMinOffset: number) {
    this.#files = files
    this.#path = path
    this.#ends = new Map()
    if (!files.exists(path)) return
    try {
      for (const [topic, end] of Object.entries(JSON.parse(files.readText(path)) as Record<string, number>)) {
        if (end > logMinOffset) this.#ends.set(topic, end)
      }
    } catch (cause) {
      throw new OperatingError('STORE_CORRUPT', { path }, cause)
    }
  }

  /** Remembers that every record of topic below logEndOffset is deleted. Durable when it returns. */
  add(topic: string, logEndOffset: number): void {
    this.#ends.delete(topic)
    this.#ends.set(topic, logEndOffset)
    for (const oldest of this.#ends.keys()) {
      if (this.#ends.size <= rememberedMax) break
      this.#ends.delete(oldest)
    }
    this.#files.writeText(this.#path, JSON.stringify(Object.fromEntries(this.#ends)))
  }

  /** Whether a topic was deleted when the log ended at phyOffset or later. */
  hasAnyFrom(phyOffset: number): boolean {
    for (const end of this.#ends.values()) if (end >= phyOffset) return true
    return false
  }

  /** Whether the log may still hold messages of an earlier topic of this name. */
  hasAny(topic: string): boolean {
    return this.#ends.has(topic)
  }

  has(topic: string, phyOffset: number): boolean {
    const end = this.#ends.get(topic)
    return end !== undefined && phyOffset < end
  }
}
