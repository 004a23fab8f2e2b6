interface Known {
  readonly name: string
  groups: number
}

/** A table of a million names takes a tenth of a second to grow; each of these holds so many less. */
const parts = 256

/** The names of all topics, each as one text that all groups which have the topic share, and how many do. */
export class TopicNames {
  readonly #parts: readonly Map<string, Known>[] = Array.from({ length: parts }, () => new Map())
  readonly #sizeMax: number
  #size = 0

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }

  get size(): number {
    return this.#size
  }

  /** How many groups have the topic. */
  groupsOf(topic: string): number {
    return this.#partOf(topic).get(topic)?.groups ?? 0
  }

  /** One more group has the topic. @returns the text that all of them share; undefined: there are too many */
  acquire(topic: string): string | undefined {
    const part = this.#partOf(topic)
    const known = part.get(topic)
    if (known !== undefined) {
      known.groups++
      return known.name
    }
    if (this.#size >= this.#sizeMax) return undefined
    this.#size++
    const name = Buffer.from(topic).toString() // a copy: what was read is a view on the whole body and would keep it
    part.set(name, { name, groups: 1 })
    return name
  }

  /** One group less has it. */
  release(topic: string): void {
    const part = this.#partOf(topic)
    const known = part.get(topic)
    if (known === undefined || --known.groups > 0) return
    part.delete(topic)
    this.#size--
  }

  list(): string[] {
    return this.#parts.flatMap((part) => [...part.keys()])
  }

  /** By the last characters, in which names differ most. */
  #partOf(topic: string): Map<string, Known> {
    let hash = topic.length
    for (let at = Math.max(0, topic.length - 8); at < topic.length; at++) hash = (hash * 31 + topic.charCodeAt(at)) | 0
    return this.#parts[(hash ^ (hash >>> 8)) & (parts - 1)]!
  }
}
