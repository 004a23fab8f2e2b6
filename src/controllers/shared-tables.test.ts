import { expect, test } from '@jest/globals'
import { ManualClock } from '../base/testing/clock.ts'
import { SharedTables } from './shared-tables.ts'

function start(ask: (brokerAddr: string) => Promise<ReadonlyMap<string, number>>) {
  const clock = new ManualClock()
  const asked: string[] = []
  const tables = new SharedTables<number>(clock, (brokerAddr) => {
    asked.push(brokerAddr)
    return ask(brokerAddr)
  })
  return { clock, asked, tables }
}

test('one question serves all who ask within a second', async () => {
  const { clock, asked, tables } = start(async () => new Map([['a', 1]]))

  await Promise.all([tables.get('x'), tables.get('x'), tables.get('y')])
  expect(asked).toEqual(['x', 'y'])

  await clock.advance(1001)
  await tables.get('x')
  expect(asked).toEqual(['x', 'y', 'x'])
})

test('what was changed is seen at once, also when the answer was under way', async () => {
  const answer = Promise.withResolvers<ReadonlyMap<string, number>>()
  const { tables } = start(() => answer.promise)
  const asking = tables.get('x')

  tables.changed('x', 'a', 2)
  tables.changed('x', 'b', undefined)
  answer.resolve(
    new Map([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ]),
  )
  expect([...(await asking)]).toEqual([
    ['a', 2],
    ['c', 1],
  ])

  tables.changed('x', 'd', 4)
  expect((await tables.get('x')).get('d')).toBe(4)
})

test('a question that failed is asked again', async () => {
  let isUp = false
  const { asked, tables } = start(async () => {
    if (!isUp) throw new Error('down')
    return new Map()
  })

  await expect(tables.get('x')).rejects.toThrow('down')
  isUp = true
  await tables.get('x')

  expect(asked).toHaveLength(2)
})

test('few rows are asked for alone, many have the table asked for', async () => {
  const { clock, asked, tables } = start(async () => new Map([['a', 1]]))
  let alone = 0
  const find = () =>
    tables.find('x', 'a', async () => {
      alone++
      return 2
    })

  for (let index = 0; index < 8; index++) expect(await find()).toBe(2)
  expect([alone, asked]).toEqual([8, []])
  expect(await find()).toBe(1)
  expect(await find()).toBe(1)
  expect([alone, asked]).toEqual([8, ['x']])

  await clock.advance(1001)
  expect(await find()).toBe(2)
})

test('of a table that is known to be large more rows are asked for alone', async () => {
  const rows = new Map(Array.from({ length: 4000 }, (_, index) => [`topic-${index}`, index] as const))
  const { clock, asked, tables } = start(async () => rows)
  await tables.get('x')
  await clock.advance(1001)

  let alone = 0
  const find = () => tables.find('x', 'topic-1', async () => ++alone)
  for (let index = 0; index < 20; index++) await find()
  expect([alone, asked]).toEqual([20, ['x']])

  await find()
  expect([alone, asked]).toEqual([20, ['x', 'x']])
})

test('a table that is of no use any more is forgotten', async () => {
  const { clock, tables } = start(async () => new Map([['a', 1]]))
  await tables.get('x')
  expect(clock.timers).toBe(1)

  await clock.advance(2001)
  expect(clock.timers).toBe(0)
})
