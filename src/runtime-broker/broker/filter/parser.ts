import { ExpressionError, Lexer, type Token } from './lexer.ts'
import {
  and,
  asBoolean,
  between,
  constant,
  equal,
  isNull,
  type Node,
  negated,
  not,
  notBetween,
  type Order,
  oneOf,
  or,
  ordered,
  property,
  type TextTest,
  textTest,
} from './nodes.ts'
import { wholeNumber } from './values.ts'

/** Characters of an expression. */
const lengthMax = 65_536
/** Parentheses, NOT and signs within each other. */
const nestingMax = 200

/**
 * Reads an SQL92 expression, in the language of Apache's broker:
 * ```
 * or         = and { OR and }
 * and        = equality { AND equality }
 * equality   = comparison { (= | <>) comparison | IS [NOT] NULL }
 * comparison = unary { (< | <= | > | >=) unary | [NOT] (CONTAINS | STARTSWITH | ENDSWITH) text
 *                    | [NOT] BETWEEN unary AND unary | [NOT] IN ( text {, text} ) }
 * unary      = (+ | - | NOT) unary | number | text | TRUE | FALSE | NULL | property | ( or )
 * ```
 * What follows an expression is not read, as Apache does not read it.
 * @throws ExpressionError
 * Source: Apache RocketMQ 5, SelectorParser.jj.
 */
export function parse(text: string): Node {
  if (text.length > lengthMax) throw new ExpressionError(`it has more than ${lengthMax} characters`)
  return asBoolean(new Parser(text).or())
}

const orders: ReadonlySet<string> = new Set(['<', '<=', '>', '>='])
const textTests: ReadonlySet<string> = new Set(['CONTAINS', 'STARTSWITH', 'ENDSWITH'])

class Parser {
  readonly #lexer: Lexer
  #nesting = 0

  constructor(text: string) {
    this.#lexer = new Lexer(text)
  }

  or(): Node {
    const first = this.#and()
    if (!this.#isNext('OR')) return first
    const parts = [asBoolean(first)]
    while (this.#mayTake('OR')) parts.push(asBoolean(this.#and()))
    return or(parts)
  }

  #and(): Node {
    const first = this.#equality()
    if (!this.#isNext('AND')) return first
    const parts = [asBoolean(first)]
    while (this.#mayTake('AND')) parts.push(asBoolean(this.#equality()))
    return and(parts)
  }

  #equality(): Node {
    let left = this.#comparison()
    for (;;) {
      if (this.#mayTake('=')) left = equal(left, this.#comparison())
      else if (this.#mayTake('<>')) left = not(equal(left, this.#comparison()))
      else if (this.#mayTake('IS')) {
        const isNot = this.#mayTake('NOT')
        this.#expect('NULL')
        left = isNot ? not(isNull(left)) : isNull(left)
      } else return left
    }
  }

  #comparison(): Node {
    let left = this.#unary()
    for (;;) {
      const { text, kind } = this.#lexer.peek()
      if (kind === 'sign' && orders.has(text)) {
        this.#lexer.take()
        left = ordered(left, text as Order, this.#unary())
        continue
      }
      const isNot = this.#mayTake('NOT')
      const test = this.#lexer.peek()
      if (test.kind === 'word' && textTests.has(test.text)) {
        this.#lexer.take()
        left = textTest(left, test.text as TextTest, this.#text(), !isNot)
      } else if (this.#mayTake('BETWEEN')) {
        const low = this.#unary()
        this.#expect('AND')
        left = (isNot ? notBetween : between)(left, low, this.#unary())
      } else if (this.#mayTake('IN')) left = oneOf(left, this.#texts(), !isNot)
      else if (isNot) throw unexpected(test, 'CONTAINS, STARTSWITH, ENDSWITH, BETWEEN or IN')
      else return left
    }
  }

  #unary(): Node {
    if (++this.#nesting > nestingMax) throw new ExpressionError(`it nests more than ${nestingMax} deep`)
    try {
      if (this.#mayTake('+')) return this.#unary()
      if (this.#mayTake('-')) return negated(this.#unary())
      if (this.#mayTake('NOT')) return not(asBoolean(this.#unary()))
      if (!this.#mayTake('(')) return this.#literal()
      const inner = this.or()
      this.#expect(')')
      return inner
    } finally {
      this.#nesting--
    }
  }

  #literal(): Node {
    const token = this.#lexer.take()
    const { kind, text } = token
    if (kind === 'name') return property(text)
    if (kind === 'text') return constant(text)
    if (kind === 'double') return doubleLiteral(token)
    if (kind === 'whole') {
      const value = wholeNumber(text.replace(/l$/i, ''))
      if (value === undefined) throw new ExpressionError(`${text} at position ${token.at} is beyond int64`)
      return constant(value)
    }
    if (kind === 'word' && text in literals) return constant(literals[text as keyof typeof literals])
    throw unexpected(token, 'a property, a number, a text or (')
  }

  #texts(): string[] {
    this.#expect('(')
    const texts = [this.#text()]
    while (this.#mayTake(',')) texts.push(this.#text())
    this.#expect(')')
    return texts
  }

  #text(): string {
    const token = this.#lexer.take()
    if (token.kind !== 'text') throw unexpected(token, "a text in '")
    return token.text
  }

  /** Is this word or sign next? */
  #isNext(text: string): boolean {
    const token = this.#lexer.peek()
    return (token.kind === 'word' || token.kind === 'sign') && token.text === text
  }

  #mayTake(text: string): boolean {
    if (!this.#isNext(text)) return false
    this.#lexer.take()
    return true
  }

  #expect(text: string): void {
    if (!this.#mayTake(text)) throw unexpected(this.#lexer.peek(), text)
  }
}

const literals = { TRUE: true, FALSE: false, NULL: null } as const

function doubleLiteral({ text, at }: Token): Node {
  const value = Number(text)
  if (!(value >= Number.MIN_VALUE && value <= Number.MAX_VALUE)) {
    throw new ExpressionError(`${text} at position ${at} is zero or beyond a double`)
  }
  return constant(value)
}

function unexpected({ kind, text, at }: Token, wanted: string): ExpressionError {
  const found = kind === 'end' ? 'the end' : kind === 'text' ? `'${text}'` : text
  return new ExpressionError(`${found} at position ${at} stands where ${wanted} belongs`)
}
