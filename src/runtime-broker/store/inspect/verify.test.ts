import { expect, test } from '@jest/globals'
import { isOperatingError } from '../../../base/errors.ts'
import { StoreBench } from '../testing/bench.ts'
import {
  filled,
  indexFiles,
  int64,
  lastStart,
  overwrite,
  overwriteLog,
  phyOffsetOf,
  queueFile,
  queueIdAt,
  queueOffsetAt,
  segment,
  storeTimestampAt,
  topicAt,
  truncate,
  verify,
} from '../testing/verify.ts'
import { reportLines } from './report.ts'

function copyRecord(bench: StoreBench): void {
  const file = bench.files.open(segment(0), 'existing')
  const bytes = Buffer.alloc(200)
  file.read(bytes, 0)
  file.write(bytes, bytes.readInt32BE(0))
}

function breakEndMark(bench: StoreBench): void {
  const bytes = Buffer.alloc(4096)
  const file = bench.files.open(segment(0), 'existing')
  file.read(bytes, 0)
  file.write(Buffer.from([0, 0, 9]), bytes.indexOf(Buffer.from('cbd43194', 'hex')) - 4)
}

function forgeUnit(bench: StoreBench): void {
  const path = '/store/consumequeue/orders/0/00000000000000000960'
  const file = bench.files.open(path, 'existing')
  const unit = Buffer.alloc(20)
  file.read(unit, 11 * 20)
  file.write(unit, 12 * 20)
}

test.each(['stopped', 'killed', 'running'])(
  'a sound store, %s: no problem, every unit and key agrees',
  async (state) => {
    const bench = await filled()
    const end = bench.store.commitLog.maxOffset
    if (state === 'stopped') await bench.close()
    if (state === 'killed') bench.kill()

    const report = await verify(bench)

    expect(report.findings.kept).toEqual([])
    expect(report).toMatchObject({
      isInUse: state !== 'stopped',
      endOffset: end,
      recordCount: 86,
      queueCount: 3,
      unitsAgreed: 80,
      unitsBehind: 0,
      unqueued: 6,
      index: { agreed: 60 * 4, behind: 0 },
      nextStart: { refusal: undefined, endOffset: end, rebuildsQueues: false, indexFilesRemoved: 0 },
    })
  },
)

test('what a broker at work has not written yet is no problem', async () => {
  const bench = await filled()
  await bench.appendAll(['a', 'b', 'c'], { properties: 'KEYS\u0001late\u0002' })

  const report = await verify(bench)

  expect(report.findings.kept).toEqual([])
  expect(report.unitsAgreed + report.unitsBehind).toBe(83)
})

test('an empty store is sound', async () => {
  const bench = await new StoreBench().open()
  await bench.close()

  expect(await verify(bench)).toMatchObject({ recordCount: 0, findings: { count: 0 }, nextStart: { endOffset: 0 } })
})

type Case = [what: string, stop: 'clean' | 'killed', damage: (bench: StoreBench) => void, found: RegExp]

test.each<Case>([
  [
    'a body changed',
    'clean',
    (bench) => overwrite(bench, segment(0), 88, Buffer.from('X')),
    /^0+ phyOffset 0: .*bodyCrc/,
  ],
  [
    'a body changed',
    'killed',
    (bench) => overwrite(bench, segment(0), 88, Buffer.from('X')),
    /^0+ phyOffset 0: .*bodyCrc/,
  ],
  [
    'a magic changed in the last segment',
    'killed',
    (bench) => overwrite(bench, segment(lastStart(bench)), 4, Buffer.alloc(4, 7)),
    /^\d+ phyOffset \d+: magic 07070707 is that of no record; the next whole record begins \d+ bytes later/,
  ],
  [
    'a totalSize is too long',
    'clean',
    (bench) => overwrite(bench, segment(4096), 0, Buffer.from([0, 0, 0xf0, 0])),
    /totalSize 61440/,
  ],
  [
    'a segment is all zeroes',
    'clean',
    (bench) => overwrite(bench, segment(4096), 0, Buffer.alloc(4096)),
    /zeroes where a record/,
  ],
  ['a record was copied to another place', 'clean', copyRecord, /says that it lies at phyOffset 0/],
  ['an end mark is wrong', 'clean', breakEndMark, /an end mark says/],
  ['a segment is short', 'clean', (bench) => truncate(bench, segment(4096), 4000), /is 4000 bytes long, not 4096/],
  [
    'a segment is missing',
    'killed',
    (bench) => bench.files.remove(segment(4096)),
    /segment before it is missing: 0+4096/,
  ],
  [
    'a foreign file lies among the segments',
    'clean',
    (bench) => bench.files.writeText('/store/commitlog/notes.txt', 'x'),
    /notes.txt.*name is not that of a segment/,
  ],
  [
    'the list of deleted topics is none',
    'clean',
    (bench) => bench.files.writeText('/store/deleted-topics.json', '{'),
    /deleted-topics.json.* no JSON/,
  ],
  [
    'a unit points elsewhere',
    'clean',
    (bench) => overwrite(bench, queueFile, 5 * 20, Buffer.alloc(8, 1)),
    /1 units are not those of their messages, the first one at queueOffset 5/,
  ],
  [
    'a unit has the hash of another tag',
    'clean',
    (bench) => overwrite(bench, queueFile, 7 * 20 + 12, Buffer.alloc(8, 1)),
    /1 units are not those .* queueOffset 7/,
  ],
  [
    'a queue is missing',
    'clean',
    (bench) => bench.files.remove('/store/consumequeue/orders'),
    /lacks the units of 60 messages/,
  ],
  [
    'a queue file is missing',
    'clean',
    (bench) => bench.files.remove('/store/consumequeue/orders/0/00000000000000000320'),
    /the file before it is missing: 0+320/,
  ],
  ['a queue file is short', 'killed', (bench) => truncate(bench, queueFile, 100), /is 100 bytes long, not 320/],
  [
    'a foreign file lies in a queue',
    'clean',
    (bench) => bench.files.writeText('/store/consumequeue/orders/0/core', ''.padEnd(320)),
    /name is not that of a queue file/,
  ],
  [
    'a queue has more than the log',
    'clean',
    (bench) => forgeUnit(bench),
    /has 1 units behind its last message, from queueOffset 60 on/,
  ],
  ['an index file is short', 'clean', (bench) => truncate(bench, indexFiles(bench)[0]!, 100), /is 100 bytes long, not/],
  [
    'an index file is missing',
    'clean',
    (bench) => bench.files.remove(indexFiles(bench)[0]!),
    /keys of messages have no entry/,
  ],
  [
    'an entry is wrong',
    'clean',
    (bench) => overwrite(bench, indexFiles(bench)[0]!, 40 + 256 + 20 * 9, Buffer.alloc(20, 1)),
    /do not go on with the chain/,
  ],
  [
    'a slot is wrong',
    'clean',
    (bench) => overwrite(bench, indexFiles(bench)[0]!, 40, Buffer.alloc(256)),
    /slots do not name the newest entry/,
  ],
  [
    'a foreign file lies in the index',
    'clean',
    (bench) => bench.files.writeText('/store/index/lost', 'x'),
    /lost.*name is not that of an index file/,
  ],
  [
    'a queueOffset is wrong',
    'clean',
    (bench) => overwriteLog(bench, phyOffsetOf(bench, 40) + queueOffsetAt, int64(7)),
    /queueOffset 7, which is wrong: its place in orders.0 is 40/,
  ],
  [
    'the checkpoint is cut',
    'clean',
    (bench) => truncate(bench, '/store/checkpoint', 100),
    /checkpoint.*is 100 bytes long/,
  ],
  [
    'the checkpoint is of the future',
    'clean',
    (bench) => overwrite(bench, '/store/checkpoint', 0, Buffer.alloc(6, 1)),
    /physicMsgTimestamp .* is later than the newest message/,
  ],
])('%s (%s): it is found, and the next start does what was foretold', async (_what, stop, damage, found) => {
  const bench = await filled()
  if (stop === 'clean') await bench.close()
  else bench.kill()
  damage(bench)

  const report = await verify(bench)

  const lines = [...reportLines(report, '/store')].map((line) => line.trim().replace('commitlog/', ''))
  expect(lines).toContainEqual(expect.stringMatching(found))
  const { refusal, endOffset, steps, rebuildsQueues, indexFilesRemoved } = report.nextStart
  const indexBefore = indexFiles(bench)
  try {
    await bench.reopen()
  } catch (error) {
    expect(isOperatingError(error, 'STORE_CORRUPT')).toBe(true)
    expect(refusal).toBe((error as Error).message)
    return
  }
  expect(refusal).toBeUndefined()
  expect(bench.store.commitLog.maxOffset).toBe(endOffset)
  for (const warning of bench.warnings) expect(steps).toContainEqual(expect.stringMatching(`^${warning}`))
  expect(bench.warnings.some((text) => /rebuilding all/.test(text))).toBe(rebuildsQueues && bench.warnings.length > 0)
  expect(indexBefore.filter((path) => !indexFiles(bench).includes(path))).toHaveLength(indexFilesRemoved)
})

test('records behind a damage in the middle are found again and held against their units', async () => {
  const bench = await filled()
  await bench.close()
  overwrite(bench, segment(0), 88, Buffer.from('X'))

  const report = await verify(bench)

  expect(report).toMatchObject({ recordCount: 85, unitsAgreed: 79 })
  expect(report.findings.kept.map(({ kind }) => kind)).toEqual(['record', 'message', 'index'])
  const text = [...reportLines(report, '/store')].join('\n')
  expect(text).toContain('do not remove index/')
  expect(text).not.toContain('stop the broker and remove')
})

test.each([
  ['later than now', 'running', 5, 2_000_000_000_000],
  ['later than now, of a message that has no unit yet', 'running', 60, 2_000_000_000_000],
  ['before all time', 'killed', 5, -5],
  ['later than now', 'stopped', 5, 2_000_000_000_000],
])('a storeTimestamp %s, in a store that is %s, is a problem and ends nothing', async (_what, state, index, told) => {
  const bench = await filled()
  const sent = await bench.appendAll(['new', 'newer'])
  const place = index === 60 ? sent[0]!.phyOffset : phyOffsetOf(bench, index)
  if (state === 'killed') bench.kill()
  if (state === 'stopped') await bench.close()
  overwriteLog(bench, place + storeTimestampAt, int64(told))

  const report = await verify(bench)

  expect(report).toMatchObject({ recordCount: 88, stoppedAt: undefined })
  expect(report.findings.kept).toMatchObject([{ kind: 'time', phyOffset: place }])
})

test.each([
  ['a negative queueId', queueIdAt, Buffer.alloc(4, 0xff), 'queueId -1 of topic xx names no queue'],
  ['a topic that names no directory', topicAt, Buffer.from('..'), 'queueId 0 of topic .. names no queue'],
])('%s in a record is a problem, and the next start leaves it unread', async (_what, at, bytes, what) => {
  const bench = await filled()
  const [sent] = await bench.appendAll(['1234'], { topic: 'xx' })
  await bench.clock.advance(11_000)
  bench.kill()
  bench.files.remove('/store/checkpoint') // so the next start reads it again
  overwriteLog(bench, sent!.phyOffset + at, bytes)

  const report = await verify(bench)

  expect(report.findings.kept).toMatchObject([
    { kind: 'field', phyOffset: sent!.phyOffset, what: expect.stringContaining(what) },
    { kind: 'message', path: '/store/consumequeue/xx/0' },
  ])
  expect([...reportLines(report, '/store')].join('\n')).not.toMatch(/remove consumequeue.*makes/)
  expect(report.nextStart.refusal).toBeUndefined()
  expect(report.nextStart.steps.join('\n')).toContain('a record names no queue: it stays in the log, unread')
  await bench.reopen()
  expect(await bench.texts()).toHaveLength(60)
})

test('a directory that is no queue, and no start looks at, is a problem', async () => {
  const bench = await filled()
  await bench.close()
  const names = ['-1', '007', '99999999999999999999', 'lost']
  for (const name of names) bench.files.makeDirectory(`/store/consumequeue/orders/${name}`)

  const { findings, queueCount, nextStart } = await verify(bench)

  expect(queueCount).toBe(3)
  expect(findings.kept).toEqual(
    names.map((name) => ({
      kind: 'stray',
      path: `/store/consumequeue/orders/${name}`,
      what: expect.stringContaining('name'),
    })),
  )
  expect(nextStart.refusal).toBeUndefined()
})

test('a topic directory with a name that none can have is a problem', async () => {
  const bench = await filled()
  await bench.close()
  const path = `/store/consumequeue/${'x'.repeat(300)}/0`
  bench.files.makeDirectory(path)

  const { findings, nextStart } = await verify(bench)

  expect(findings.kept).toMatchObject([{ kind: 'layout', path }])
  expect(nextStart.refusal).toContain('MESSAGE_ILLEGAL')
})

test.each([
  ['what is neither a table nor JSON', '{'],
  ['a table of nothing', '{}'],
  ['another kind of JSON', 'null'],
  ['a table of another kind', '{"topicConfigTable":[]}'],
])('topics.json holds %s: that is said, and all topics count', async (_what, text) => {
  const bench = await filled()
  await bench.close()
  bench.files.makeDirectory('/store/config')
  bench.files.writeText('/store/config/topics.json', text)
  bench.files.remove('/store/consumequeue/bills')

  const { findings } = await verify(bench)

  expect(findings.kept).toMatchObject([
    { kind: 'table', path: '/store/config/topics.json' },
    { kind: 'short', path: '/store/consumequeue/bills/0', what: expect.stringContaining('lacks the units') },
    { kind: 'short', path: '/store/consumequeue/bills/1' },
  ])
})

test.each<[what: string, damage: (bench: StoreBench) => void, advice: RegExp]>([
  ['a segment is short', (bench) => truncate(bench, segment(4096), 4000), /bring .* back .* Move no segment away/],
  ['a segment is missing', (bench) => bench.files.remove(segment(4096)), /bring .* back .* Move no segment away/],
  ['a foreign file', (bench) => bench.files.writeText('/store/commitlog/x', 'x'), /does not start: move it away/],
  [
    'the list of deleted topics is none',
    (bench) => bench.files.writeText('/store/deleted-topics.json', '{'),
    /deleted topics come back/,
  ],
])('%s: the advice moves no message away', async (_what, damage, advice) => {
  const bench = await filled()
  await bench.close()
  damage(bench)

  expect([...reportLines(await verify(bench), '/store')].join('\n')).toMatch(advice)
})

test('a directory without a store is named, and the flag that may help', async () => {
  const bench = await new StoreBench().open()
  bench.files.remove('/store/commitlog')

  await expect(verify(bench)).rejects.toMatchObject({
    code: 'SETTING_INVALID',
    message: expect.stringContaining('--commitlog'),
  })
})
