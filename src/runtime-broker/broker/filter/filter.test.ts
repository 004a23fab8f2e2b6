import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Filters } from './filter.ts'
import { ExpressionError } from './lexer.ts'
import { parse } from './parser.ts'
import { Incomparable } from './values.ts'

type Properties = Readonly<Record<string, string>>

/** In Apache's words: `bad` is no expression, `fails` has no answer. */
function answer(expression: string, properties: Properties): string {
  try {
    const root = parse(expression)
    try {
      return String(root.evaluate((name) => (Object.hasOwn(properties, name) ? properties[name] : undefined)))
    } catch (error) {
      if (error instanceof Incomparable) return 'fails'
      throw error
    }
  } catch (error) {
    if (error instanceof ExpressionError) return 'bad'
    throw error
  }
}

test('expressions are read and answered as rocketmq-filter 5.5.0 does', () => {
  // Recorded: expression, properties, the answer of Apache's own classes.
  const file = new URL('testing/apache-answers.json', import.meta.url)
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as [string, Properties, string][]

  expect(recorded.length).toBeGreaterThan(200)
  for (const [expression, properties, theirs] of recorded) {
    expect([expression, properties, answer(expression, properties)]).toEqual([expression, properties, theirs])
  }
})

test.each([
  ["color = 'blue' AND price BETWEEN 5 AND 10", 'true'],
  ['price IN (7)', 'bad'],
  ["color IN ('red', 'blue') and size is null", 'true'],
  ["color NOT IN ('red') AND NOT (price > 7)", 'true'],
  ["price > 'abc'", 'bad'],
  ['color > 7', 'fails'],
  ["color > 7 OR color = 'blue'", 'fails'],
  ["color = 'blue' OR color > 7", 'true'],
  ["size = 'x' OR color CONTAINS 'lu'", 'true'],
  ['size = 1', 'null'],
  ["size NOT CONTAINS 'x'", 'false'],
  ["color STARTSWITH 'bl' AND color ENDSWITH 'ue'", 'true'],
  ['price = 7.0', 'true'],
  ["'it''s' = 'it''s'", 'true'],
  ['paid', 'false'],
  ['paid = TRUE', 'true'],
  ["/* both */ color = 'blue' -- a comment\n AND price = 7", 'true'],
  ['price =', 'bad'],
  ['', 'bad'],
  ["color LIKE 'b%'", 'false'], // a property alone; what follows it is not read
])('%s is %s', (expression, expected) => {
  expect(answer(expression, { color: 'blue', price: '7', paid: 'true' })).toBe(expected)
})

test('what is wrong with an expression is said, with the place', () => {
  const said = (expression: string) => String(new Filters().compile(expression))

  expect(said("a = 1 AND b ~ 'x'")).toMatch(/"~" at position 12/)
  expect(said('a BETWEEN 1')).toMatch(/the end at position 11 stands where AND belongs/)
  expect(said('a IN (5)')).toMatch(/5 at position 6 stands where a text in '/)
})

test('no expression exhausts stack or time', () => {
  const long = `a IN (${Array(6_000).fill("'x'").join(',')})`
  const deepest = `${'('.repeat(190)}a = 1${')'.repeat(190)}`

  expect(answer(long, { a: 'x' })).toBe('true')
  expect(answer(Array(9_000).fill('a=1').join(' OR '), { a: '2' })).toBe('false')
  expect(answer(deepest, { a: '1' })).toBe('true')
  for (const one of ['(', 'NOT ', '-', '+']) expect(answer(`${one.repeat(5_000)}a`, {})).toBe('bad')
  expect(answer(`a${' = b'.repeat(5_000)}`, { a: '1' })).toBe('bad')
  expect(answer(`${' '.repeat(70_000)}a = 1`, { a: '1' })).toBe('bad')
  expect(answer(`'${'x'.repeat(60_000)}`, {})).toBe('bad')
  expect(answer(`/*${'*'.repeat(60_000)}`, {})).toBe('bad')
})

// The oracle: the same logic once more, slowly, over the tree that the text was written from.
type Tree =
  | { is: 'equal' | 'unequal' | 'above' | 'atMost'; name: string; number: number }
  | { is: 'text'; name: string; text: string }
  | { is: 'null' | 'notNull'; name: string }
  | { is: 'in' | 'notIn'; name: string; texts: string[] }
  | { is: 'between' | 'notBetween'; name: string; low: number; high: number }
  | { is: 'contains' | 'starts' | 'lacks'; name: string; text: string }
  | { is: 'and' | 'or'; left: Tree; right: Tree }
  | { is: 'not'; part: Tree }

const name = fc.constantFrom('a', 'b', 'c')
const number = fc.integer({ min: -20, max: 20 })
const word = fc.constantFrom('x', 'xy', "it's", '7', '')
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      is: fc.constantFrom('equal' as const, 'unequal' as const, 'above' as const, 'atMost' as const),
      name,
      number,
    }),
    fc.record({ is: fc.constant('text' as const), name, text: word }),
    fc.record({ is: fc.constantFrom('null' as const, 'notNull' as const), name }),
    fc.record({
      is: fc.constantFrom('in' as const, 'notIn' as const),
      name,
      texts: fc.array(word, { minLength: 1, maxLength: 7 }),
    }),
    fc.record({ is: fc.constantFrom('between' as const, 'notBetween' as const), name, low: number, high: number }),
    fc.record({ is: fc.constantFrom('contains' as const, 'starts' as const, 'lacks' as const), name, text: word }),
    fc.record({ is: fc.constantFrom('and' as const, 'or' as const), left: tie('tree'), right: tie('tree') }),
    fc.record({ is: fc.constant('not' as const), part: tie('tree') }),
  ),
}))

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`

function textOf(tree: Tree): string {
  switch (tree.is) {
    case 'equal':
      return `${tree.name} = ${tree.number}`
    case 'unequal':
      return `${tree.name} <> ${tree.number}`
    case 'above':
      return `${tree.name} > ${tree.number}`
    case 'atMost':
      return `${tree.name}<=${tree.number}`
    case 'text':
      return `${tree.name} = ${quoted(tree.text)}`
    case 'null':
      return `${tree.name} IS NULL`
    case 'notNull':
      return `${tree.name} is not null`
    case 'in':
      return `${tree.name} IN (${tree.texts.map(quoted).join(', ')})`
    case 'notIn':
      return `${tree.name} NOT IN (${tree.texts.map(quoted).join(',')})`
    case 'between':
      return `${tree.name} BETWEEN ${tree.low} AND ${tree.high}`
    case 'notBetween':
      return `${tree.name} not between ${tree.low} and ${tree.high}`
    case 'contains':
      return `${tree.name} CONTAINS ${quoted(tree.text)}`
    case 'starts':
      return `${tree.name} STARTSWITH ${quoted(tree.text)}`
    case 'lacks':
      return `${tree.name} NOT CONTAINS ${quoted(tree.text)}`
    case 'not':
      return `NOT (${textOf(tree.part)})`
    default:
      return `(${textOf(tree.left)}) ${tree.is.toUpperCase()} (${textOf(tree.right)})`
  }
}

/** Truth is 1, falsehood −1, what is not known 0: so AND is the least, OR the greatest, NOT the negative. */
function truth(tree: Tree, properties: Properties): number {
  if (isJoin(tree)) return joined(tree, properties)
  if (tree.is === 'not') return -truth(tree.part, properties) || 0
  const value = properties[tree.name]
  const ofNumber = (rule: (value: number) => boolean) => {
    if (value === undefined) return 0
    if (!/^-?\d+$/.test(value)) throw new Error('fails')
    return rule(Number(value)) ? 1 : -1
  }
  const ofText = (rule: (value: string) => boolean, unknown: number) =>
    value === undefined ? unknown : rule(value) ? 1 : -1
  switch (tree.is) {
    case 'equal':
      return ofNumber((n) => n === tree.number)
    case 'unequal':
      return ofNumber((n) => n !== tree.number)
    case 'above':
      return ofNumber((n) => n > tree.number)
    case 'atMost':
      return ofNumber((n) => n <= tree.number)
    case 'between':
      return ofNumber((n) => tree.low <= n && n <= tree.high)
    case 'notBetween':
      return ofNumber((n) => n < tree.low || tree.high < n)
    case 'text':
      return ofText((t) => t === tree.text, 0)
    case 'in':
      return ofText((t) => tree.texts.some((one) => one === t), 0)
    case 'notIn':
      return ofText((t) => tree.texts.every((one) => one !== t), 0)
    case 'null':
      return value === undefined ? 1 : -1
    case 'notNull':
      return value === undefined ? -1 : 1
    case 'contains':
      return ofText((t) => tree.text.length > 0 && t.split(tree.text).length > 1, -1)
    case 'lacks':
      return ofText((t) => tree.text.length > 0 && t.split(tree.text).length === 1, -1)
    case 'starts':
      return ofText((t) => tree.text.length > 0 && t.slice(0, tree.text.length) === tree.text, -1)
  }
}

type Join = Extract<Tree, { is: 'and' | 'or' }>

function isJoin(tree: Tree): tree is Join {
  return tree.is === 'and' || tree.is === 'or'
}

/** The right side counts, and may fail, only where the left one decides nothing. */
function joined(tree: Join, properties: Properties): number {
  const decisive = tree.is === 'and' ? -1 : 1
  const left = truth(tree.left, properties)
  if (left === decisive) return left
  const right = truth(tree.right, properties)
  return tree.is === 'and' ? Math.min(left, right) : Math.max(left, right)
}

function expected(tree: Tree, properties: Properties): string {
  try {
    return { '1': 'true', '0': 'null', '-1': 'false' }[String(truth(tree, properties))]!
  } catch {
    return 'fails'
  }
}

test('every expression has the answer of the slow oracle', () => {
  const value = fc.constantFrom('x', 'xy', "it's", '7', '-3', '0', '', '15', 'true')
  const properties = fc.dictionary(name, value, { maxKeys: 3, noNullPrototype: true })
  // BETWEEN with bounds the wrong way round is no expression; a negative bound is not looked at.
  const isExpression = (tree: Tree): boolean => {
    if (tree.is === 'between') return tree.low < 0 || tree.high < 0 || tree.low <= tree.high
    if (tree.is === 'not') return isExpression(tree.part)
    return !isJoin(tree) || (isExpression(tree.left) && isExpression(tree.right))
  }
  fc.assert(
    fc.property(tree, properties, (given, of) => {
      const text = textOf(given)
      expect([text, answer(text, of)]).toEqual([text, isExpression(given) ? expected(given, of) : 'bad'])
    }),
    { numRuns: 2_000 },
  )
})

test('an expression is compiled once, until those that came after it are too long together', () => {
  const filters = new Filters()
  const first = filters.compile('a = 1')
  const compileLong = (count: number) => {
    for (let index = 0; index < count; index++) filters.compile(`a = '${'x'.repeat(110_000)}${index}'`)
  }

  compileLong(9)
  expect(filters.compile('a = 1')).toBe(first)
  compileLong(10)
  expect(filters.compile('a = 1')).not.toBe(first)
  const tooLong = `a = '${'x'.repeat(1_000_000)}'`
  expect(filters.compile(tooLong)).not.toBe(filters.compile(tooLong))
})
