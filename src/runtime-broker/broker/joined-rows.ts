const headBytesMax = 1_024
const comma = 0x2c
const space = 0x20

/**
 * The members of a JSON object in writing, kept joined as bytes: of ten thousand rows one changes, and the whole is saved each time.
 * A row that comes is added at the end, one that went or grew leaves blanks behind, which go when they are a quarter of the whole.
 */
export class JoinedRows {
  /** Room for a head, then rows, a comma before each, then room to grow. */
  #bytes: Buffer
  #end = headBytesMax
  #blankBytes = 0
  /** Of the names that changed since the rows were joined. */
  readonly #changed = new Set<string>()
  readonly #rowOf: (name: string) => string | undefined
  /** In the order in which they stand. */
  readonly #places = new Map<string, { at: number; length: number }>()

  /** @param rowOf the member as writeJson writes it, its name in quotes, a colon, its value; undefined: it is gone */
  constructor(rowOf: (name: string) => string | undefined) {
    this.#rowOf = rowOf
    this.#bytes = Buffer.allocUnsafe(headBytesMax)
  }

  /** The member of that name came, changed or went: its row is asked for when the rows are next wanted. */
  changed(name: string): void {
    this.#changed.add(name)
  }

  /**
   * @param head what stands before the rows, the opening brace included: at most 1 KiB
   * @param tail what stands after them, from the closing brace
   * @returns a view on what the rows are kept in: good until the next call
   */
  between(head: string, tail: string): Buffer {
    for (const name of this.#changed) {
      const [row, place] = [this.#rowOf(name), this.#places.get(name)]
      if (row !== undefined) this.#set(name, row)
      else if (place !== undefined) this.#blank(name, place)
    }
    this.#changed.clear()
    if (this.#blankBytes > (this.#end - headBytesMax) / 4) this.#closeUp()
    const [first] = this.#places.values()
    const rowsAt = first === undefined ? this.#end : first.at + 1 // without its comma
    const headAt = rowsAt - Buffer.byteLength(head)
    this.#bytes.write(head, headAt)
    this.#reserve(Buffer.byteLength(tail))
    return this.#bytes.subarray(headAt, this.#end + this.#bytes.write(tail, this.#end))
  }

  #set(name: string, row: string): void {
    const length = 1 + Buffer.byteLength(row)
    const place = this.#places.get(name)
    if (place?.length === length) {
      this.#bytes.write(row, place.at + 1)
      return
    }
    if (place !== undefined) this.#blank(name, place)
    this.#reserve(length)
    this.#places.set(name, { at: this.#end, length })
    this.#bytes[this.#end] = comma
    this.#bytes.write(row, this.#end + 1)
    this.#end += length
  }

  #blank(name: string, { at, length }: { at: number; length: number }): void {
    this.#bytes.fill(space, at, at + length)
    this.#blankBytes += length
    this.#places.delete(name)
  }

  #closeUp(): void {
    let end = headBytesMax
    for (const place of this.#places.values()) {
      this.#bytes.copyWithin(end, place.at, place.at + place.length)
      place.at = end
      end += place.length
    }
    this.#end = end
    this.#blankBytes = 0
  }

  #reserve(length: number): void {
    const needed = this.#end + length
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(grown, 0, 0, this.#end)
    this.#bytes = grown
  }
}
