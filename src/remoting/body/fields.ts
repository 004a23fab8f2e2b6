import { OperatingError } from '../../base/errors.ts'
import { readJson } from '../json.ts'

/** Reads the fields of one JSON object, by name and type. Every method throws OperatingError BODY_INVALID. */
export class Fields {
  readonly #what: string
  readonly #fields: Record<string, unknown>

  /** @param what names the object in errors */
  constructor(what: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(what, 'itself', value)
    this.#what = what
    this.#fields = value as Record<string, unknown>
  }

  static of(what: string, json: Buffer | string): Fields {
    return new Fields(what, readJson(json))
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined
  }

  text(key: string, fallback?: string): string {
    const value = this.#get(key) ?? fallback
    if (typeof value === 'number' || typeof value === 'bigint') return String(value)
    if (typeof value !== 'string') throw invalid(this.#what, key, value)
    return value
  }

  optionalText(key: string): string | undefined {
    return this.has(key) ? this.text(key) : undefined
  }

  bool(key: string, fallback?: boolean): boolean {
    const value = this.#get(key) ?? fallback
    if (value === 'true' || value === 'false') return value === 'true'
    if (typeof value !== 'boolean') throw invalid(this.#what, key, value)
    return value
  }

  /** An integer below 2^53. */
  integer(key: string, fallback?: number): number {
    const value = this.wideInteger(key, fallback)
    if (typeof value === 'bigint') throw invalid(this.#what, key, value)
    return value
  }

  /** Any Java long: a bigint from 2^53 on. Some peers send it as text. */
  wideInteger(key: string, fallback?: number): number | bigint {
    const value = this.#get(key) ?? fallback
    const read = typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? readJson(value) : value
    if (typeof read !== 'bigint' && !Number.isSafeInteger(read)) throw invalid(this.#what, key, value)
    return read as number | bigint
  }

  number(key: string, fallback?: number): number {
    const value = this.#get(key) ?? fallback
    if (typeof value !== 'number') throw invalid(this.#what, key, value)
    return value
  }

  /** A name of an enum; some peers send its ordinal. */
  oneOf<Name extends string>(key: string, names: readonly Name[], fallback?: Name): Name {
    const value = this.#get(key) ?? fallback
    const name = typeof value === 'number' ? names[value] : names.find((known) => known === value)
    if (name === undefined) throw invalid(this.#what, key, value)
    return name
  }

  /** A nested object; absent counts as empty. */
  fields(key: string): Fields {
    return new Fields(`${this.#what}.${key}`, this.#get(key) ?? {})
  }

  /** The entries of a nested object as a Map; absent counts as empty. */
  table<Value>(key: string, read: (value: unknown, name: string) => Value): Map<string, Value> {
    const entries = this.fields(key).entries()
    return new Map(entries.map(([name, value]) => [name, read(value, name)]))
  }

  /** An array; absent counts as empty. */
  list<Item>(key: string, read: (item: unknown) => Item): Item[] {
    const value = this.#get(key) ?? []
    if (!Array.isArray(value)) throw invalid(this.#what, key, value)
    return value.map(read)
  }

  /** An array of integers; some peers send them as text. */
  integers(key: string): number[] {
    return this.list(key, (item) => new Fields(this.#what, { [key]: item }).integer(key))
  }

  texts(key: string): string[] {
    return this.list(key, (item) => {
      if (typeof item !== 'string') throw invalid(this.#what, key, item)
      return item
    })
  }

  get value(): unknown {
    return this.#fields
  }

  entries(): [string, unknown][] {
    return Object.entries(this.#fields).filter(([, value]) => value !== null)
  }

  #get(key: string): unknown {
    const value = Object.hasOwn(this.#fields, key) ? this.#fields[key] : undefined
    return value === null ? undefined : value
  }
}

export function textItem(what: string): (value: unknown) => string {
  return (value) => {
    if (typeof value !== 'string') throw invalid(what, 'value', value)
    return value
  }
}

/** A table's integer key. */
export function integerKey(what: string, key: string): number {
  const value = Number(key)
  if (!/^-?\d+$/.test(key) || !Number.isSafeInteger(value)) throw invalid(what, 'key', key)
  return value
}

export function integerItem(what: string): (value: unknown) => number {
  return (value) => {
    if (!Number.isSafeInteger(value)) throw invalid(what, 'value', value)
    return value as number
  }
}

function invalid(what: string, field: string, value: unknown): OperatingError {
  return new OperatingError('BODY_INVALID', { what, field, is: value === undefined ? 'missing' : typeof value })
}
