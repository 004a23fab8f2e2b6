import { ExpressionError } from './lexer.ts'
import { compare, doubleOfText, Incomparable, isSame, type Known, negative, type Value } from './values.ts'

/** The value of a message's property. */
export type Lookup = (name: string) => string | undefined

/** A part of an expression. */
export interface Node {
  /** @throws Incomparable */
  evaluate(lookup: Lookup): Value
  readonly isBoolean: boolean
  /** Of a literal only. */
  readonly constant?: Value
  readonly isProperty?: boolean
  /** Parts within parts within it. */
  readonly depth: number
}

/** Beyond it evaluation could exhaust the stack. */
const depthMax = 500

function node(isBoolean: boolean, parts: readonly Node[], evaluate: (lookup: Lookup) => Value): Node {
  const depth = 1 + parts.reduce((deepest, part) => Math.max(deepest, part.depth), 0)
  if (depth > depthMax) throw new ExpressionError(`parts lie in each other more than ${depthMax} deep`)
  return { isBoolean, evaluate, depth }
}

export function constant(value: Value): Node {
  return { isBoolean: value === null || typeof value === 'boolean', constant: value, depth: 1, evaluate: () => value }
}

export function property(name: string): Node {
  return { isBoolean: false, isProperty: true, depth: 1, evaluate: (lookup) => lookup(name) ?? null }
}

/** @throws ExpressionError when it can be neither true nor false */
export function asBoolean(part: Node): Node {
  if (part.isBoolean) return part
  if (!part.isProperty) throw new ExpressionError('a number or a text stands where something true or false belongs')
  return node(true, [part], (lookup) => (part.evaluate(lookup) === null ? null : false)) // properties are texts
}

export function not(part: Node): Node {
  return node(true, [part], (lookup) => {
    const value = part.evaluate(lookup)
    return value === null ? null : value !== true
  })
}

/** Three-valued: false as soon as one is, else null when one is. */
export function and(parts: readonly Node[]): Node {
  return node(true, parts, (lookup) => joined(parts, lookup, false))
}

export function or(parts: readonly Node[]): Node {
  return node(true, parts, (lookup) => joined(parts, lookup, true))
}

function joined(parts: readonly Node[], lookup: Lookup, decisive: boolean): Value {
  let result: Value = !decisive
  for (const part of parts) {
    const value = part.evaluate(lookup)
    if (value === decisive) return decisive
    if (value === null) result = null
  }
  return result
}

export function negated(part: Node): Node {
  return node(false, [part], (lookup) => negative(part.evaluate(lookup)))
}

export function equal(left: Node, right: Node): Node {
  if (left.constant === null || right.constant === null)
    throw new ExpressionError('NULL is compared: IS NULL asks for it')
  if (left.constant !== undefined && right.constant !== undefined && left.isBoolean && !right.isBoolean) {
    throw new ExpressionError('TRUE or FALSE is compared with a number or a text')
  }
  return same(left, right)
}

export function isNull(part: Node): Node {
  return same(part, constant(null))
}

function same(left: Node, right: Node): Node {
  return node(true, [left, right], (lookup) => {
    const a = left.evaluate(lookup)
    const b = right.evaluate(lookup)
    if (a === null) return b === null ? true : null
    if (b === null) return false
    return isSame(a, b) || compare(a, b) === 0
  })
}

export type Order = '<' | '<=' | '>' | '>='

const holds: Record<Order, (answer: number) => boolean> = {
  '<': (answer) => answer < 0,
  '<=': (answer) => answer <= 0,
  '>': (answer) => answer > 0,
  '>=': (answer) => answer >= 0,
}

export function ordered(left: Node, order: Order, right: Node): Node {
  for (const part of [left, right]) {
    if (part.isBoolean || typeof part.constant === 'string') {
      throw new ExpressionError(`what is true, false or a text is compared by ${order}`)
    }
  }
  return node(true, [left, right], (lookup) => {
    const a = left.evaluate(lookup)
    if (a === null) return null
    const b = right.evaluate(lookup)
    if (b === null) return null
    return holds[order](compareOrdered(a, b))
  })
}

/** Two texts are compared as the numbers that they are. */
function compareOrdered(a: Known, b: Known): number {
  if (typeof a === 'string' && typeof b === 'string') return compare(doubleOfText(a), doubleOfText(b))
  return compare(a, b)
}

export function between(part: Node, low: Node, high: Node): Node {
  if (low.constant !== undefined && high.constant !== undefined) {
    if (low.constant === null || high.constant === null) throw new ExpressionError('BETWEEN has NULL as a bound')
    if (isBelow(high.constant, low.constant)) throw new ExpressionError('BETWEEN has its higher bound first')
  }
  return and([ordered(part, '>=', low), ordered(part, '<=', high)])
}

function isBelow(a: Known, b: Known): boolean {
  try {
    return compare(a, b) < 0
  } catch (error) {
    if (!(error instanceof Incomparable)) throw error
    return true // the bounds are of two kinds
  }
}

export function notBetween(part: Node, low: Node, high: Node): Node {
  return or([ordered(part, '<', low), ordered(part, '>', high)])
}

export function oneOf(part: Node, texts: readonly string[], isIn: boolean): Node {
  if (!part.isProperty) throw new ExpressionError('IN asks for a property on its left side')
  const set = new Set(texts)
  return node(true, [part], (lookup) => {
    const value = part.evaluate(lookup)
    return value === null ? null : set.has(value as string) === isIn
  })
}

export type TextTest = 'CONTAINS' | 'STARTSWITH' | 'ENDSWITH'

const textTests: Record<TextTest, (text: string, search: string) => boolean> = {
  CONTAINS: (text, search) => text.includes(search),
  STARTSWITH: (text, search) => text.startsWith(search),
  ENDSWITH: (text, search) => text.endsWith(search),
}

/** Never unknown: what is missing or no text neither has the searched text nor lacks it. */
export function textTest(part: Node, test: TextTest, search: string, isIn: boolean): Node {
  return node(true, [part], (lookup) => {
    if (search === '') return false
    const value = part.evaluate(lookup)
    return typeof value === 'string' && textTests[test](value, search) === isIn
  })
}
