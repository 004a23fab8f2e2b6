import { expect, test } from '@jest/globals'
import {
  filled,
  int64,
  overwrite,
  overwriteLog,
  phyOffsetOf,
  queueOffsetAt,
  segment,
  verify,
} from '../testing/verify.ts'
import { reportLines } from './report.ts'

test.each<[what: string, told: number | bigint]>([
  ['a later one', 9],
  ['an earlier one', 2],
  ['0', 0],
  ['one that no queue reached', 4096],
  ['one that no file has room for', 2n ** 61n],
  ['a negative one', -1],
])('a queueOffset that is wrong, %s, is damage of its record: its queue is kept as it is', async (_what, told) => {
  const bench = await filled()
  const place = phyOffsetOf(bench, 5)
  await bench.close()
  overwrite(bench, segment(0), place + queueOffsetAt, int64(told))

  const report = await verify(bench)

  expect(report.findings.kept).toEqual([
    { kind: 'field', path: segment(0), phyOffset: place, what: expect.stringMatching(/queueOffset/) },
  ])
  expect(report).toMatchObject({ recordCount: 86, unitsAgreed: 79, unitsBehind: 0 })
  const text = [...reportLines(report, '/store')].join('\n')
  expect(text).toContain(`its place in orders/0 is 5`)
  expect(text).toContain('Keep consumequeue/')
  expect(text).not.toMatch(/remove consumequeue|made again from the log$/)
})

test('the first and the last record of a queue may have a wrong queueOffset too', async () => {
  const bench = await filled()
  const places = [0, 59].map((queueOffset) => phyOffsetOf(bench, queueOffset))
  await bench.close()
  for (const place of places) overwriteLog(bench, place + queueOffsetAt, int64(1000))

  const { findings } = await verify(bench)

  expect(findings.kept.map(({ kind, phyOffset }) => [kind, phyOffset])).toEqual(places.map((place) => ['field', place]))
})

test('before a start that leaves out a message whose queueOffset is wrong a copy is advised', async () => {
  const bench = await filled()
  bench.kill()
  overwriteLog(bench, phyOffsetOf(bench, 40) + queueOffsetAt, int64(4096))
  bench.files.remove('/store/checkpoint') // so all is read again

  const report = await verify(bench)
  const text = [...reportLines(report, '/store')].join('\n')
  await bench.reopen()

  expect(report.nextStart.rebuildsQueues).toBe(true)
  expect(text).toMatch(/next start: all queues are made again from the log, .* Copy the directory first/)
  const texts = await bench.texts()
  expect(texts).toHaveLength(59)
  expect(texts).not.toContain('message 40') // what the advice is about
})

test.each([
  ['of the middle', 30],
  ['the last one', 59],
])('without units a wrong queueOffset, %s, is told by the records beside it', async (_what, queueOffset) => {
  const bench = await filled()
  const place = phyOffsetOf(bench, queueOffset)
  await bench.close()
  overwriteLog(bench, place + queueOffsetAt, int64(4096))
  bench.files.remove('/store/consumequeue/orders')

  const { findings } = await verify(bench)

  expect(findings.kept).toMatchObject([
    { kind: 'field', phyOffset: place },
    { kind: 'short', what: 'lacks the units of 60 messages, the first one at queueOffset 0' },
  ])
})

test('records behind a damage are believed where no unit says otherwise', async () => {
  const bench = await filled()
  const place = phyOffsetOf(bench, 30)
  await bench.close()
  overwriteLog(bench, place + 4, Buffer.alloc(4))
  bench.files.remove('/store/consumequeue/orders')

  const { findings } = await verify(bench)

  expect(findings.kept.filter(({ path }) => !path.startsWith('/store/index'))).toMatchObject([
    { kind: 'record', phyOffset: place },
    { kind: 'short', what: 'lacks the units of 59 messages, the first one at queueOffset 0' },
    { kind: 'message', what: 'the log lacks 1 messages, the first one at queueOffset 30' },
  ])
})
