import { OperatingError } from '../base/errors.ts'

/**
 * Reads JSON as RocketMQ peers write it (fastjson 1.2): keys may be integers or words without quotes; a key may be an
 * object, and becomes its own JSON text, to be read in turn; integers of 2^53 and above become bigint.
 * @throws OperatingError BODY_INVALID
 */
export function readJson(json: string | Buffer): unknown {
  const text = typeof json === 'string' ? json : json.toString('utf8')
  if (!mayHoldWideInteger.test(text)) {
    try {
      return JSON.parse(text)
    } catch {
      // not strict JSON: the reader below decides
    }
  }
  return new Reader(text).document()
}

const mayHoldWideInteger = /\d{16}/
const depthMax = 200
const space = /[ \t\r\n]*/y
const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const word = /[A-Za-z0-9_$-]+/y

class Reader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): unknown {
    const value = this.#value()
    if (this.#peek() !== '') throw this.#error('something follows the value')
    return value
  }

  #value(): unknown {
    const first = this.#peek()
    if (first === '{') return this.#nested(() => this.#object())
    if (first === '[') return this.#nested(() => this.#array())
    if (first === '"' || first === "'") return this.#string(first)
    const digits = this.#match(number)
    if (digits !== undefined) return numberOf(digits)
    switch (this.#match(word)) {
      case 'true':
        return true
      case 'false':
        return false
      case 'null':
        return null
      default:
        throw this.#error('no value')
    }
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > depthMax) throw this.#error('nested too deeply')
    const value = read()
    this.#depth--
    return value
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    this.#at++
    while (!this.#skip('}')) {
      const key = this.#key()
      if (!this.#skip(':')) throw this.#error('no colon after a key')
      const value = this.#value()
      if (key === '__proto__')
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
      else object[key] = value
      if (!this.#skip(',') && this.#peek() !== '}') throw this.#error('an object does not end')
    }
    return object
  }

  #array(): unknown[] {
    const array: unknown[] = []
    this.#at++
    while (!this.#skip(']')) {
      array.push(this.#value())
      if (!this.#skip(',') && this.#peek() !== ']') throw this.#error('an array does not end')
    }
    return array
  }

  #key(): string {
    const first = this.#peek()
    if (first === '"' || first === "'") return this.#string(first)
    const start = this.#at
    if (first === '{' || first === '[') {
      this.#value()
      return this.#text.slice(start, this.#at)
    }
    const key = this.#match(word)
    if (key === undefined) throw this.#error('no key')
    return key
  }

  #string(quote: string): string {
    const start = this.#at + 1
    let end = this.#text.indexOf(quote, start)
    while (end !== -1 && this.#isEscaped(end, start)) end = this.#text.indexOf(quote, end + 1)
    if (end === -1) throw this.#error('a string does not end')
    this.#at = end + 1
    const raw = this.#text.slice(start, end)
    return raw.includes('\\') ? this.#unescaped(raw) : raw
  }

  #isEscaped(at: number, start: number): boolean {
    let first = at
    while (first > start && this.#text[first - 1] === '\\') first--
    return (at - first) % 2 === 1
  }

  #unescaped(raw: string): string {
    return raw.replace(/\\(?:u([0-9a-fA-F]{4})|(.?))/gs, (_, hex: string | undefined, letter: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
      const meant = escapes[letter]
      if (meant === undefined) throw this.#error('an escape that means nothing')
      return meant
    })
  }

  /** The next character that is no space; '' at the end. */
  #peek(): string {
    this.#match(space)
    return this.#text[this.#at] ?? ''
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false
    this.#at++
    return true
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #error(what: string): OperatingError {
    return new OperatingError('BODY_INVALID', { what, at: this.#at })
  }
}

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

function numberOf(digits: string): number | bigint {
  const value = Number(digits)
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(digits) ? value : BigInt(digits)
}

/** A value in writing: what is the same each time need not be written again. */
export class JsonText {
  readonly text: string

  /** @param text JSON, as writeJson writes it */
  constructor(text: string) {
    this.text = text
  }
}

export interface WriteJsonOptions {
  /** Integer keys of Maps stand without quotes, as fastjson writes them; strict JSON otherwise. */
  unquotedIntegerKeys?: boolean
}

/**
 * Writes JSON without spaces, an object's keys sorted. Beyond JSON.stringify it takes bigint, JsonText and Map: a Map's integer keys may stand
 * unquoted, and its object keys (a MessageQueue) stand as they are, which is no JSON but is what Java peers read and write.
 */
export function writeJson(value: unknown, options: WriteJsonOptions = {}): string {
  return jsonOf(value, options.unquotedIntegerKeys ?? false) ?? 'null'
}

/** @returns undefined for what JSON leaves out */
function jsonOf(value: unknown, isKeyUnquoted: boolean): string | undefined {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (value instanceof JsonText) return value.text
  if (Array.isArray(value)) return `[${value.map((item) => jsonOf(item, isKeyUnquoted) ?? 'null').join(',')}]`
  const entries = value instanceof Map ? value.entries() : Object.entries(value).sort(byName)
  const members: string[] = []
  for (const [key, member] of entries) {
    const json = jsonOf(member, isKeyUnquoted)
    if (json !== undefined) members.push(`${jsonKey(key, isKeyUnquoted)}:${json}`)
  }
  return `{${members.join(',')}}`
}

// As fastjson writes a bean: some clients take such text apart by hand, and equal values have equal bytes.
function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1
}

function jsonKey(key: unknown, isKeyUnquoted: boolean): string {
  if (typeof key === 'object') return jsonOf(key, isKeyUnquoted)!
  return isKeyUnquoted && typeof key === 'number' ? String(key) : JSON.stringify(String(key))
}
