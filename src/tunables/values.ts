/**
 * What a setting may be: a whole number, a text, true or false, one of a few words. The words are zod's, of which this is
 * the part that settings need: every broker and NameServer would carry zod's 13 MiB for the checks below.
 */
export class Value<T> {
  readonly #rule: Rule

  constructor(rule: Rule) {
    this.#rule = rule
  }

  /** Least number, or length of a text. */
  min(min: number): Value<T> {
    return this.#with({ min })
  }

  /** Largest number, or length of a text. */
  max(max: number): Value<T> {
    return this.#with({ max })
  }

  regex(pattern: RegExp): Value<T> {
    return this.#with({ pattern })
  }

  /** What holds when the key is not set. */
  default(preset: NonNullable<T>): Value<NonNullable<T>> {
    return this.#with({ preset })
  }

  /** Not set is a value of its own. */
  optional(): Value<T | undefined> {
    return this.#with({})
  }

  /** Facts about the value; they add up. */
  meta(facts: Facts): Value<T> {
    return this.#with({ facts: { ...this.#rule.facts, ...facts } })
  }

  get facts(): Readonly<Facts> {
    return this.#rule.facts
  }

  get preset(): T | undefined {
    return this.#rule.preset as T | undefined
  }

  /** The value that a text of a properties file means; undefined: none that fits. */
  read(text: string): T | undefined {
    const { kind, min, max, pattern, words } = this.#rule
    if (kind === 'boolean') return booleans[text.toLowerCase()] as T | undefined
    if (kind === 'word') return words.includes(text) ? (text as T) : undefined
    const value = kind === 'integer' ? (/^-?\d+$/.test(text) ? Number(text) : Number.NaN) : text
    const size = typeof value === 'string' ? value.length : value
    return size >= min && size <= max && pattern.test(text) ? (value as T) : undefined
  }

  /** What fits, in words. */
  fits(): string {
    const { kind, min, max, words, facts } = this.#rule
    if (facts.fits !== undefined) return facts.fits // patterns are no words
    if (kind === 'word') return words.join(' or ')
    if (kind === 'boolean') return 'true or false'
    if (kind === 'text') return 'a text'
    return min === max ? String(min) : `a whole number from ${min} to ${max}`
  }

  #with<U>(change: Partial<Rule>): Value<U> {
    return new Value<U>({ ...this.#rule, ...change })
  }
}

interface Rule {
  kind: 'integer' | 'text' | 'boolean' | 'word'
  min: number
  max: number
  pattern: RegExp
  words: readonly string[]
  preset: unknown
  facts: Facts
}

/** What a value says about itself besides its type. */
export interface Facts {
  description?: string
  /** What fits, where type and limits do not say it. */
  fits?: string
  unit?: string
  standIn?: string
  live?: boolean
  important?: boolean
  secret?: boolean
}

const booleans: Readonly<Record<string, boolean>> = Object.assign(Object.create(null), { true: true, false: false })
const anything: Rule = { kind: 'text', min: 0, max: 2 ** 31, pattern: /^/, words: [], preset: undefined, facts: {} }

export const string = () => new Value<string>(anything)
export const boolean = () => new Value<boolean>({ ...anything, kind: 'boolean' })
export const int = () =>
  new Value<number>({ ...anything, kind: 'integer', min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
export const int32 = () =>
  int()
    .min(-(2 ** 31))
    .max(2 ** 31 - 1)
const oneOf = <const W extends readonly string[]>(words: W) =>
  new Value<W[number]>({ ...anything, kind: 'word', words })

export { oneOf as enum }

/** Values by key: what is said once about settings, and their type. */
// biome-ignore lint/suspicious/noExplicitAny: a value of any type
export type Shape = Readonly<Record<string, Value<any>>>
export interface Schema<S extends Shape = Shape> {
  readonly shape: S
}

export function object<S extends Shape>(shape: S): Schema<S> {
  return { shape }
}

type TypeOf<S> = S extends Schema<infer F> ? { [K in keyof F]: F[K] extends Value<infer T> ? T : never } : never

export type { TypeOf as infer }
