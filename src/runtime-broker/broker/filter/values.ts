/**
 * Values of filter expressions and how they compare, which is how Java's boxed types do: numbers keep the type that their text
 * gave them, and what meets another type is converted to it. Source: Apache RocketMQ 5, ComparisonExpression.
 */

/** A whole number within int32. */
export class Int {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

/** A whole number within int64 and beyond int32. */
export class Long {
  readonly value: bigint

  constructor(value: bigint) {
    this.value = value
  }
}

/** Properties are strings; numbers are doubles; null is what is not known. */
export type Value = string | number | boolean | Int | Long | null
export type Known = Exclude<Value, null>

/** A comparison without an answer, such as of a text with a number: no message with these properties matches. */
export class Incomparable extends Error {
  override readonly name = 'Incomparable'
}

const longMax = 2n ** 63n - 1n
const longMin = -(2n ** 63n)
const intMax = 2 ** 31 - 1
const intMin = -(2 ** 31)

/** Negative: left is less, or not of a kind with right. @throws Incomparable */
export function compare(left: Known, right: Known): number {
  if (typeof left === 'string') return compareText(left, right)
  if (typeof left === 'boolean') {
    if (typeof right === 'string') throw new Incomparable()
    return typeof right === 'boolean' ? Number(left) - Number(right) : -1
  }
  if (typeof right === 'boolean') return -1
  if (typeof right === 'string') return compareNumbers(left, numberLike(left, right))
  return compareNumbers(left, right)
}

function compareText(left: string, right: Known): number {
  if (typeof right === 'string') return left < right ? -1 : Number(left > right)
  if (typeof right === 'boolean') return Number(left.toLowerCase() === 'true') - Number(right)
  return compareNumbers(numberLike(right, left), right)
}

type Numeric = number | Int | Long

function compareNumbers(left: Numeric, right: Numeric): number {
  if (typeof left === 'number' || typeof right === 'number') return compareDoubles(doubleOf(left), doubleOf(right))
  if (left instanceof Int && right instanceof Int) return left.value - right.value
  const [a, b] = [BigInt(left.value), BigInt(right.value)]
  return a < b ? -1 : Number(a > b)
}

/** As Double.compareTo: NaN is above all else and equal to itself, -0 is below 0. */
function compareDoubles(left: number, right: number): number {
  if (left < right) return -1
  if (left > right) return 1
  if (Object.is(left, right)) return 0
  const rank = (value: number) => (Number.isNaN(value) ? 2 : Object.is(value, -0) ? 0 : 1)
  return rank(left) - rank(right)
}

function doubleOf(value: Numeric): number {
  return typeof value === 'number' ? value : Number(value.value)
}

/** The number that text is, of the type that the other one has. @throws Incomparable */
function numberLike(other: Numeric, text: string): Numeric {
  if (typeof other === 'number') return doubleOfText(text)
  const whole = /^[+-]?\d+$/.test(text) ? BigInt(text) : undefined
  if (whole === undefined) throw new Incomparable()
  if (other instanceof Int) {
    if (whole < intMin || whole > intMax) throw new Incomparable()
    return new Int(Number(whole))
  }
  if (whole < longMin || whole > longMax) throw new Incomparable()
  return new Long(whole)
}

const doublePattern = /^[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?)$/

/** As Java's Double.valueOf, but for hexadecimal. @throws Incomparable */
export function doubleOfText(text: string): number {
  const trimmed = trimControls(text)
  if (!doublePattern.test(trimmed)) throw new Incomparable()
  return Number(trimmed.replace(/^([+-]?)(NaN)$/, '$2').replace(/(?<=[\d.])[fFdD]$/, ''))
}

/** Java's String.trim takes off all up to the blank. */
function trimControls(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && text.charCodeAt(start) <= 32) start++
  while (end > start && text.charCodeAt(end - 1) <= 32) end--
  return text.slice(start, end)
}

export function isSame(left: Known, right: Known): boolean {
  if (left instanceof Int) return right instanceof Int && left.value === right.value
  if (left instanceof Long) return right instanceof Long && left.value === right.value
  return Object.is(left, right)
}

/** @returns null: it has no negative */
export function negative(value: Value): Value {
  if (typeof value === 'number') return -value
  if (value instanceof Int) return new Int(-value.value)
  if (value instanceof Long) return new Long(-value.value)
  return null
}

/** A whole number as expressions write it, without a sign. @returns undefined: beyond int64 */
export function wholeNumber(digits: string): Int | Long | undefined {
  const value = BigInt(digits)
  if (value > longMax) return undefined
  return value <= intMax ? new Int(Number(value)) : new Long(value)
}
