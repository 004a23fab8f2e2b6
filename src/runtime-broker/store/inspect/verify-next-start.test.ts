import { expect, test } from '@jest/globals'
import {
  filled,
  int64,
  lastStart,
  overwrite,
  overwriteLog,
  phyOffsetOf,
  queueIdAt,
  queueOffsetAt,
  segment,
  verify,
} from '../testing/verify.ts'
import { reportLines } from './report.ts'

test('a torn tail is one problem, whatever old records lie behind it', async () => {
  const bench = await filled()
  bench.kill()
  const end = bench.store.commitLog.maxOffset
  overwrite(bench, segment(lastStart(bench)), end % 4096, Buffer.alloc(60, 3))

  const report = await verify(bench)

  expect(report.findings.kept).toMatchObject([{ kind: 'record', phyOffset: end }])
  expect([...reportLines(report, '/store')].join('\n')).toContain(`the log is cut at phyOffset ${end}`)
})

test('whole records behind the damage that ends the log are counted, and a copy is advised', async () => {
  const bench = await filled()
  const [torn] = await bench.appendAll(['torn', 'behind it', 'behind it too']) // no queue names them yet
  bench.kill()
  overwriteLog(bench, torn!.phyOffset + 4, Buffer.alloc(4, 7))

  const report = await verify(bench)

  expect(report).toMatchObject({ recordCount: 86, endOffset: torn!.phyOffset, behindCount: 2, leavingCount: 2 })
  const text = [...reportLines(report, '/store')].join('\n')
  expect(text).toContain('2 whole records lie behind the damage that ends the log')
  expect(text).toContain('2 whole records would leave the log')
})

test('whole records that a start leaves out, though queues name them, are counted', async () => {
  const bench = await filled()
  const place = phyOffsetOf(bench, 30)
  bench.kill()
  bench.files.remove('/store/checkpoint') // so all is read again, up to the damage
  overwriteLog(bench, place + 4, Buffer.alloc(4, 7))

  const report = await verify(bench)

  expect(report).toMatchObject({ recordCount: 85, behindCount: 0, leavingCount: 42, nextStart: { endOffset: place } })
  expect([...reportLines(report, '/store')].join('\n')).toMatch(/42 whole records would leave the log\n(.*\n)+ +copy/)
})

test('a damage below what the checkpoint knows to be whole is not the end of the log', async () => {
  const bench = await filled()
  const [torn] = await bench.appendAll(['torn'], { topic: 'half', sysFlag: 0x4 }) // no queue will ever name it
  await bench.clock.advance(11_000)
  await bench.appendAll(['behind it'])
  bench.kill()
  overwriteLog(bench, torn!.phyOffset + 4, Buffer.alloc(4, 7))

  const report = await verify(bench)

  expect(report).toMatchObject({ recordCount: 87, behindCount: 0 })
  expect(report.nextStart.endOffset).toBe(report.endOffset)
})

test('a start that makes queues again from a log with a foreign record in it is to be thought over', async () => {
  const bench = await filled()
  const place = phyOffsetOf(bench, 40)
  bench.kill()
  overwriteLog(bench, place + queueIdAt, Buffer.from([0, 0, 0, 9])) // a queue that might be
  bench.files.remove('/store/checkpoint')

  const text = [...reportLines(await verify(bench), '/store')].join('\n')

  expect(text).toContain('queueOffset=41, maxOffset=40') // one message is not found in its place, and no other
  expect(text).toContain(`the first one at queueOffset 40 (its unit names phyOffset ${place})`)
  expect(text).toMatch(
    /all queues would be made again from the log, which does not say all that they know\n +copy the directory first/,
  )
})

test('the last segments are missing: the queues know it', async () => {
  const bench = await filled()
  await bench.close()
  const last = segment(lastStart(bench))
  bench.files.remove(last)

  const report = await verify(bench)

  const kept = report.findings.kept.filter(({ kind }) => kind === 'message')
  expect(kept).toHaveLength(3)
  expect(kept[0]!.what).toMatch(/last \d+ units name messages behind the end of the log/)
  expect([...reportLines(report, '/store')].join('\n')).not.toMatch(/and remove/)
})

test('units that the checkpoint says are safe are missed also beside a broker', async () => {
  const bench = await filled()
  bench.kill()
  bench.files.remove('/store/consumequeue/bills')

  const report = await verify(bench)

  expect(report.findings.kept).toMatchObject([
    { kind: 'short', path: '/store/consumequeue/bills/0', what: expect.stringContaining('lacks the units of 10') },
    { kind: 'short', path: '/store/consumequeue/bills/1' },
  ])
  expect([...reportLines(report, '/store')].join('\n')).toContain('next start: all queues are made again from the log')
})

test('units that the next start adds are not to be made otherwise', async () => {
  const bench = await filled()
  await bench.close()
  for (const path of ['consumequeue', 'checkpoint']) bench.files.remove(`/store/${path}`) // as of Apache's broker

  const report = await verify(bench)

  expect(report.findings.kept.map(({ kind }) => kind)).toEqual(['short', 'short', 'short'])
  expect([...reportLines(report, '/store')].join('\n')).toContain('next start: adds them')
})

test('a topic that was deleted needs no units', async () => {
  const bench = await filled()
  bench.store.deleteTopic('bills')
  await bench.clock.advance(11_000)
  await bench.close()

  expect(await verify(bench)).toMatchObject({ findings: { count: 0 }, unitsAgreed: 60, unqueued: 26 })
})

test('what retention removed is missed by nobody', async () => {
  const bench = await filled()
  await bench.clock.advance(80 * 3_600_000)
  bench.store.removeExpiredSegments()
  await bench.clock.advance(120_000)
  expect(bench.store.commitLog.minOffset).toBeGreaterThan(0)
  await bench.close()

  const report = await verify(bench, { segmentBytes: 4096 })

  expect(report.findings.kept).toEqual([])
  expect(report.minOffset).toBeGreaterThan(0)
})

test('what the next start would say a thousand times is not told that often', async () => {
  const bench = await filled()
  const sent = await bench.appendAll(Array.from({ length: 110 }, () => 'more'))
  bench.kill()
  for (const { phyOffset } of sent) overwriteLog(bench, phyOffset + queueOffsetAt, int64(1))
  bench.files.remove('/store/checkpoint')

  const { nextStart } = await verify(bench)

  expect(nextStart.steps).toHaveLength(101)
  expect(nextStart.steps.at(-2)).toMatch(/given twice/)
  expect(nextStart.steps.at(-1)).toMatch(/^and \d+ more$/)
})

test('consumequeue/ is not to be removed where it knows more than the log', async () => {
  const bench = await filled()
  await bench.appendAll(['gone'], { topic: 'gone' })
  await bench.appendAll(Array.from({ length: 60 }, () => 'new'))
  await bench.clock.advance(80 * 3_600_000)
  await bench.appendAll(['newest'])
  bench.store.removeExpiredSegments()
  await bench.clock.advance(120_000)
  await bench.close()
  overwrite(bench, '/store/consumequeue/orders/0/00000000000000002240', 7 * 20 + 12, Buffer.alloc(8, 1))

  const report = await verify(bench, { segmentBytes: 4096 })

  expect(report.findings.kept).toMatchObject([{ kind: 'queue', path: '/store/consumequeue/orders/0' }])
  expect([...reportLines(report, '/store')].join('\n')).toContain('do not remove consumequeue/: 3 queues')
})
