import { expect, test } from '@jest/globals'
import { isOperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import { StoreBench } from '../testing/bench.ts'
import { reportLines } from './report.ts'
import { type VerifyOptions, type VerifyReport, verifyStore } from './verify.ts'

const segment = (start: number) => `/store/commitlog/${String(start).padStart(20, '0')}`
const queueIdAt = 12 // in a record
const queueOffsetAt = 20
const storeTimestampAt = 56
const topicAt = 93 // behind a body of 4 bytes
const queueFile = '/store/consumequeue/orders/0/00000000000000000000'

/** A disk that cannot be changed, as a mounted snapshot. */
function readOnly(files: Files): Files {
  const refuse = () => {
    throw new Error('a read-only disk')
  }
  return {
    ...Object.fromEntries(
      ['makeDirectory', 'writeText', 'rename', 'remove', 'removeLater', 'syncDirectory', 'lock'].map((name) => [
        name,
        refuse,
      ]),
    ),
    open: (path: string, mode: string) => (mode === 'reading' ? files.open(path, mode) : refuse()),
    exists: (path: string) => files.exists(path),
    list: (directory: string) => files.list(directory),
    readText: (path: string) => files.readText(path),
    diskSpace: (path: string) => files.diskSpace(path),
  } as unknown as Files
}

async function verify(bench: StoreBench, sizes: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  const work = verifyStore(
    {
      rootDir: '/store',
      commitLogDir: '/store/commitlog',
      segmentBytes: undefined,
      consumeQueueFileBytes: undefined,
      slotCount: 64,
      indexEntries: undefined,
      onProgress: () => {},
      ...sizes,
    },
    { files: readOnly(bench.files), clock: bench.clock },
  )
  let isDone = false
  const done = () => void (isDone = true)
  work.then(done, done)
  for (let turn = 0; turn < 2000 && !isDone; turn++) await bench.clock.advance(50)
  return await work
}

/** Messages in three queues over several segments, with keys and tags, some not queued; all of them safe. */
async function filled(): Promise<StoreBench> {
  const bench = await new StoreBench().open()
  for (let index = 0; index < 60; index++) {
    const properties = `KEYS\u0001k${index} same\u0002TAGS\u0001TagA\u0002UNIQ_KEY\u0001id${index}\u0002`
    await bench.appendAll([`message ${index}`], { properties, tagsCode: 2_598_919 })
    if (index % 3 === 0) await bench.appendAll([`bill ${index}`], { topic: 'bills', queueId: index % 2 })
    if (index % 10 === 0) await bench.appendAll(['prepared'], { topic: 'half', sysFlag: 0x4 })
  }
  await bench.clock.advance(11_000)
  return bench
}

function overwrite(bench: StoreBench, path: string, position: number, bytes: Buffer): void {
  const file = bench.files.open(path, 'existing')
  file.write(bytes, position)
  file.close()
}

function truncate(bench: StoreBench, path: string, sizeBytes: number): void {
  const file = bench.files.open(path, 'existing')
  file.truncate(sizeBytes)
  file.close()
}

function indexFiles(bench: StoreBench): string[] {
  return bench.files.list('/store/index').map(({ name }) => `/store/index/${name}`)
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

function int64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

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

test('before a start that believes a wrong queueOffset a copy is advised', async () => {
  const bench = await filled()
  bench.kill()
  overwriteLog(bench, phyOffsetOf(bench, 40) + queueOffsetAt, int64(4096))
  bench.files.remove('/store/checkpoint') // so all is read again

  const report = await verify(bench)
  const text = [...reportLines(report, '/store')].join('\n')
  await bench.reopen()

  expect(report.nextStart.rebuildsQueues).toBe(true)
  expect(text).toMatch(/next start: all queues are made again from the log, .* Copy the directory first/)
  expect(await bench.texts()).toEqual(['message 40']) // what the advice is about
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
])('%s in a record is a problem, and why the next start refuses', async (_what, at, bytes, what) => {
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
  expect(report.nextStart.refusal).toContain('MESSAGE_ILLEGAL')
  await expect(bench.reopen()).rejects.toThrow(report.nextStart.refusal)
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

  expect(text).toContain(`the first one at queueOffset 40 (its unit names phyOffset ${place})`)
  expect(text).toMatch(
    /40 messages of 1 queues, which the log has, could not be read\n.*made again from the log.*\n +copy the directory first/,
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

/** One segment, one queue file, one index file. */
async function small(): Promise<StoreBench> {
  const bench = await new StoreBench().open()
  await bench.appendAll(['a', 'b', 'c'], { properties: 'KEYS\u0001k\u0002' })
  await bench.clock.advance(11_000)
  await bench.close()
  return bench
}
const sizesOfSmall = { segmentBytes: 4096, consumeQueueFileBytes: 320, slotCount: 64, indexEntries: 100 }

test('the only file of its kind has the length that the flags say', async () => {
  expect(await verify(await small(), sizesOfSmall)).toMatchObject({ findings: { count: 0 }, unitsAgreed: 3 })
})

test.each<[what: string, (bench: StoreBench) => string, flag: keyof typeof sizesOfSmall, usual: number]>([
  ['segment', () => segment(0), 'segmentBytes', 1_073_741_824],
  ['queue file', () => queueFile, 'consumeQueueFileBytes', 6_000_000],
  ['index file', (bench) => indexFiles(bench)[0]!, 'indexEntries', 420_000_040],
])('the only %s that was cut is a problem, with and without the flag', async (_what, pathOf, flag, usual) => {
  const bench = await small()
  const path = pathOf(bench)
  const { sizeBytes } = bench.files.list(path.slice(0, path.lastIndexOf('/')))[0]!
  const cutBytes = sizeBytes - 60 // whole units, whole entries, and nothing in them
  truncate(bench, path, cutBytes)
  const unsaid = flag === 'indexEntries' ? { slotCount: undefined, indexEntries: undefined } : { [flag]: undefined }

  const said = await verify(bench, sizesOfSmall)
  const silent = await verify(bench, { ...sizesOfSmall, ...unsaid })

  const expected = (bytes: number) => ({ path, what: expect.stringContaining(`${cutBytes} bytes long, not ${bytes}`) })
  expect(said.findings.kept[0]).toMatchObject(expected(sizeBytes))
  expect(silent.findings.kept[0]).toMatchObject(expected(usual))
})

test('an index whose sizes nobody knows is a problem', async () => {
  const bench = await filled()
  await bench.close()

  const report = await verify(bench, { slotCount: 5_000_000 })

  expect(report.findings.kept).toEqual([
    { kind: 'unread', path: '/store/index', what: expect.stringContaining('--index-slots') },
  ])
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

test('what the next start would say a thousand times is not told that often', async () => {
  const bench = await filled()
  for (let index = 0; index < 100; index++) await bench.appendAll(['more'])
  bench.kill()
  overwriteLog(bench, phyOffsetOf(bench, 1) + queueOffsetAt, int64(4096))
  bench.files.remove('/store/checkpoint')

  const { nextStart } = await verify(bench)

  expect(nextStart.steps).toHaveLength(101)
  expect(nextStart.steps.at(-2)).toMatch(/given twice/)
  expect(nextStart.steps.at(-1)).toMatch(/^and \d+ more$/)
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

test('a directory without a store is named, and the flag that may help', async () => {
  const bench = await new StoreBench().open()
  bench.files.remove('/store/commitlog')

  await expect(verify(bench)).rejects.toMatchObject({
    code: 'SETTING_INVALID',
    message: expect.stringContaining('--commitlog'),
  })
})

/** Where a message of orders/0 lies. */
function phyOffsetOf(bench: StoreBench, queueOffset: number): number {
  const unit = Buffer.alloc(20)
  const perFile = 16
  const start = String((queueOffset - (queueOffset % perFile)) * 20).padStart(20, '0')
  const file = bench.files.open(`/store/consumequeue/orders/0/${start}`, 'reading')
  file.read(unit, (queueOffset % perFile) * 20)
  file.close()
  return Number(unit.readBigInt64BE(0))
}

function overwriteLog(bench: StoreBench, phyOffset: number, bytes: Buffer): void {
  const position = phyOffset % 4096
  overwrite(bench, segment(phyOffset - position), position, bytes)
}

function lastStart(bench: StoreBench): number {
  return Math.max(...bench.files.list('/store/commitlog').map(({ name }) => Number(name)))
}

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
