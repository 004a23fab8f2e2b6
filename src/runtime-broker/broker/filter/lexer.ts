/** What ends an expression that is none; what is wrong with it, in words. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
}

export type TokenKind = 'word' | 'name' | 'whole' | 'double' | 'text' | 'sign' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** word: in capitals. text: without its quotes. sign: the characters. */
  readonly text: string
  readonly at: number
}

const words: ReadonlySet<string> = new Set([
  'NOT',
  'AND',
  'OR',
  'BETWEEN',
  'IN',
  'TRUE',
  'FALSE',
  'NULL',
  'IS',
  'CONTAINS',
  'STARTSWITH',
  'ENDSWITH',
])

// Each matches at one place; the longest match counts, as with the tokens of Apache's parser.
const skipped = /(?:[ \t\n\r\f]+|--[^\n\r]*(?:\r\n|\n|\r)|\/\*[^*]*\*(?:\*|[^*/][^*]*\*)*\/)+/y
const numberPattern = /(?:\d+\.\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+)|(?:0|[1-9]\d*l?)/iy
const textPattern = /'(?:''|[^'])*'/y
const namePattern = /[a-z_$][a-z0-9_$]*/iy
const signPattern = /<>|>=|<=|[=<>(),+-]/y

/**
 * Cuts an expression into tokens, each only when it is asked for: what comes after an expression's end is not looked at, as
 * Apache's parser does not look at it. Source: Apache RocketMQ 5, SelectorParser.jj.
 */
export class Lexer {
  readonly #text: string
  #at = 0
  readonly #ahead: Token[] = []

  constructor(text: string) {
    this.#text = text
  }

  /** @throws ExpressionError */
  peek(distance = 0): Token {
    while (this.#ahead.length <= distance) this.#ahead.push(this.#read())
    return this.#ahead[distance]!
  }

  /** @throws ExpressionError */
  take(): Token {
    const token = this.peek()
    this.#ahead.shift()
    return token
  }

  #read(): Token {
    this.#match(skipped)
    const at = this.#at
    if (at === this.#text.length) return { kind: 'end', text: '', at }
    const number = this.#match(numberPattern)
    if (number !== undefined) return { kind: /^\d+l?$/i.test(number) ? 'whole' : 'double', text: number, at }
    const text = this.#match(textPattern)
    if (text !== undefined) return { kind: 'text', text: text.slice(1, -1).replaceAll("''", "'"), at }
    const name = this.#match(namePattern)
    if (name !== undefined) {
      const word = name.toUpperCase()
      return words.has(word) ? { kind: 'word', text: word, at } : { kind: 'name', text: name, at }
    }
    const sign = this.#match(signPattern)
    if (sign !== undefined) return { kind: 'sign', text: sign, at }
    throw new ExpressionError(`${JSON.stringify(this.#text[at])} at position ${at} belongs to no expression`)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)?.[0]
    if (match !== undefined) this.#at += match.length
    return match
  }
}
