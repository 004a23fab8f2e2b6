import { expect, test } from '@jest/globals'
import { ManualClock } from '../../base/testing/clock.ts'
import { StepQueue } from './step-queue.ts'

function queue() {
  const clock = new ManualClock()
  const done: string[] = []
  function* task(name: string, steps: number): Generator<void, string> {
    for (let step = 1; step <= steps; step++) {
      done.push(`${name}${step}`)
      if (step < steps) yield
    }
    return name
  }
  return { clock, done, task, tasks: new StepQueue(clock, 100) }
}

test('tasks run one after the other, a step a turn', async () => {
  const { clock, done, task, tasks } = queue()
  const [a, b] = [tasks.run(task('a', 2), 1), tasks.run(task('b', 1), 1)]

  expect(done).toEqual(['a1'])
  await clock.turn()
  expect(done).toEqual(['a1', 'a2'])
  await clock.turn()
  expect(done).toEqual(['a1', 'a2', 'b1'])
  expect(await Promise.all([a, b])).toEqual(['a', 'b'])
})

test('a task that throws fails alone', async () => {
  const { clock, task, tasks } = queue()
  // biome-ignore lint/correctness/useYield: it does not come to that
  function* broken(): Generator<void, never> {
    throw new Error('broken')
  }
  const failed = expect(tasks.run(broken(), 1)).rejects.toThrow('broken')
  const next = tasks.run(task('a', 1), 1)
  await clock.turn()

  await failed
  expect(await next).toBe('a')
})

test('what waits has a limit; what comes alone is taken whatever its size', async () => {
  const { clock, task, tasks } = queue()

  const large = tasks.run(task('a', 2), 1000)
  expect(tasks.run(task('b', 1), 1)).toBeUndefined()
  await clock.turn()

  expect(await large).toBe('a')
  expect(await tasks.run(task('c', 1), 1)).toBe('c')
})
