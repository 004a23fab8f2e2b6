import { expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { ManualClock } from '../../base/testing/clock.ts'
import { SavedTable } from './saved-table.ts'

/** A table whose writes take that long. */
function tableThatTakes(writeMs: number) {
  const hand = new ManualClock()
  let spentMs = 0
  const clock = Object.assign(Object.create(hand) as ManualClock, {
    monotonicMs: () => hand.monotonicMs() + spentMs,
    after: (ms: number, task: () => void) => hand.after(ms, task),
    endOfTurn: (task: () => void) => hand.endOfTurn(task),
  })
  const saves: number[] = [] // what the table held
  let content = 0
  let isBroken = false
  const storage = {
    load: () => undefined,
    save(_: string, table: unknown) {
      if (isBroken) throw new Error('no space')
      spentMs += writeMs
      saves.push(table as number)
    },
  }
  const table = new SavedTable('table.json', () => content, { storage, clock, log: silentLog })
  const change = () => {
    content++
    return table.changed()
  }
  return {
    table,
    change,
    saves,
    turn: () => hand.turn(),
    pass: (ms: number) => hand.advance(ms),
    breaks: (value: boolean) => void (isBroken = value),
  }
}

test('changes of one turn share a write at its end', async () => {
  const { change, saves, turn } = tableThatTakes(0)
  const changes = [change(), change()]
  expect(saves).toEqual([])
  await turn()
  await Promise.all(changes)
  expect(saves).toEqual([2])
  void change()
  await turn()
  expect(saves).toEqual([2, 3])
})

test('after a write that took 20 ms changes wait for 180 ms, and share the next one', async () => {
  const { change, saves, turn, pass } = tableThatTakes(20)
  void change()
  await turn()
  const changes = [change()]
  await pass(100)
  changes.push(change())
  await pass(79)
  expect(saves).toEqual([1])
  await pass(1)
  await Promise.all(changes)
  expect(saves).toEqual([1, 3])
})

test('no change waits for more than a quarter of a second, whatever a write takes', async () => {
  const { change, saves, turn, pass } = tableThatTakes(1_000)
  void change()
  await turn()
  void change()
  await pass(250)
  expect(saves).toEqual([1, 2])
})

test('a table that is saved meanwhile, as at a stop, answers who waits, once', async () => {
  const { table, change, saves, turn, pass } = tableThatTakes(20)
  void change()
  await turn()
  const waiting = change()
  table.saveIfDirty()
  await waiting
  const next = change() // of another write: that one did not have it
  await pass(1_000)
  await next
  expect(saves).toEqual([1, 2, 3])
})

test('a failed write is told to who waits for it, and done again by the next saveIfDirty', async () => {
  const { table, change, saves, turn, breaks } = tableThatTakes(1)
  breaks(true)
  const waiting = change()
  await turn()
  await expect(waiting).rejects.toThrow('no space')
  expect(() => table.saveIfDirty()).toThrow('no space')
  breaks(false)
  table.saveIfDirty()
  expect(saves).toEqual([1])
})
