import { expect, test } from '@jest/globals'
import { recordAt } from '../../remoting/message/index.ts'
import { writeCheckpoint } from './checkpoint.ts'
import { CommitLog } from './commit-log.ts'
import { scanRecords } from './scan.ts'
import { StoreBench } from './testing/bench.ts'

const log = '/store/commitlog/00000000000000000000'
const queue = '/store/consumequeue/orders/0/00000000000000000000'

function overwrite(bench: StoreBench, path: string, position: number, bytes: Buffer): void {
  const file = bench.files.open(path, 'existing')
  file.write(bytes, position)
  file.close()
}

async function filled(count = 40): Promise<{ bench: StoreBench; texts: string[] }> {
  const bench = await new StoreBench().open()
  const texts = Array.from({ length: count }, (_, index) => `message ${index}`)
  await bench.appendAll(texts)
  return { bench, texts }
}

test('a clean stop leaves no abort and nothing to read again', async () => {
  const { bench, texts } = await filled()
  await bench.close()
  expect(bench.files.exists('/store/abort')).toBe(false)

  await bench.reopen()

  expect(bench.warnings).toEqual([])
  expect(await bench.texts()).toEqual(texts)
  expect(bench.append()).toMatchObject({ queueOffset: texts.length })
})

test('the end of a queue is found in every page of its files', async () => {
  const bench = await new StoreBench({ segmentBytes: 1 << 20, consumeQueueFileBytes: 20 * 204 * 9 }).open()
  let count = 0
  for (const wanted of [1, 203, 204, 205, 408, 409, 613, 1224, 1632, 1835, 1836, 1837, 2041, 3672, 3673]) {
    await bench.appendAll(Array.from({ length: wanted - count }, () => ''))
    count = wanted
    await bench.close()

    await bench.reopen()

    expect([bench.store.minOffset('orders', 0), bench.store.maxOffset('orders', 0)]).toEqual([0, wanted])
    expect(bench.warnings).toEqual([])
  }
})

test.each([0, 900, 1100, 11_000])('a process that dies %d ms after its last message loses none', async (delayMs) => {
  const { bench, texts } = await filled()
  await bench.clock.advance(delayMs)
  bench.kill()

  await bench.reopen()

  expect(await bench.texts()).toEqual(texts)
  expect(bench.append()).toMatchObject({ queueOffset: texts.length })
})

test('what a full disk let through of a message does not keep the store from being read', async () => {
  const { bench, texts } = await filled(3)
  bench.files.writeFailure = 'ENOSPC'
  const refused = bench.append({ text: 'too much'.repeat(50) })
  await bench.clock.turn()
  bench.kill()

  await bench.reopen()

  expect(refused.status).toBe('failed')
  expect(await bench.texts()).toEqual(texts)
  expect(bench.warnings).toContain(
    'the log had a part of one record at its end: cut; the disk has no room to keep it aside',
  )
  bench.files.writeFailure = undefined
  expect(bench.append({ text: 'next' })).toMatchObject({ queueOffset: 3, phyOffset: refused.phyOffset })
})

test('more than a part of one record is not cut where a full disk cannot keep it aside', async () => {
  const { bench } = await filled(3)
  bench.kill()
  overwrite(bench, log, 4, Buffer.alloc(4, 7)) // the first record's magic
  bench.files.writeFailure = 'ENOSPC'

  await expect(bench.reopen()).rejects.toThrow('FILE_FAILED')
})

test('a last record that is torn at any byte is kept aside and cut, and its place is used again', async () => {
  const { bench } = await filled(3)
  const { phyOffset, size } = (await bench.appendAll(['the last one'], { properties: 'KEYS\u0001k\u0002' }))[0]!

  for (let kept = 0; kept < size; kept++) {
    const torn = await filled(3)
    await torn.bench.appendAll(['the last one'], { properties: 'KEYS\u0001k\u0002' })
    torn.bench.kill()
    overwrite(torn.bench, log, phyOffset + kept, Buffer.alloc(size - kept))

    await torn.bench.reopen()

    expect(await torn.bench.texts()).toEqual(torn.texts)
    expect(torn.bench.append({ text: 'next' })).toMatchObject({ queueOffset: 3, phyOffset })
    const isKept = torn.bench.files.exists(`/store/torn/${String(phyOffset).padStart(20, '0')}`)
    if (kept >= 4) expect(isKept).toBe(true) // the first bytes of totalSize are zero anyway
  }
})

test('a record that lay whole behind a torn one does not come back once the log has grown up to it', async () => {
  const { bench, texts } = await filled(3)
  const [torn, behind] = await bench.appendAll(['to be torn', 'behind'])
  bench.kill()
  overwrite(bench, log, torn!.phyOffset + 88, Buffer.from('X')) // in its body

  await bench.reopen()
  const shorter = bench.append({ text: 'TO BE TORN' })
  await bench.clock.turn()
  bench.kill()
  await bench.reopen()

  expect(shorter.phyOffset + shorter.size).toBe(behind!.phyOffset)
  expect(await bench.texts()).toEqual([...texts, 'TO BE TORN'])
})

test.each([
  ['properties that lack a page end the log', 4000, ['a']],
  ['zeroes in properties are properties like others', 100, ['a', 'b']],
])('%s', async (_what, zeroes, expected) => {
  const bench = await new StoreBench({ segmentBytes: 65_536 }).open()
  const value = `k\u0001${'x'.repeat(6000)}\u0000${'x'.repeat(6000)}\u0002`
  await bench.appendAll(['a'])
  const { phyOffset } = (await bench.appendAll(['b'], { properties: value }))[0]!
  bench.kill()
  overwrite(bench, log, phyOffset + 4000, Buffer.alloc(zeroes))

  await bench.reopen()

  expect(await bench.texts()).toEqual(expected)
})

test('a body that changed after it was stored ends the log there', async () => {
  const { bench, texts } = await filled(5)
  const third = bench.store.recordAt(0)!.length * 2
  bench.kill()
  overwrite(bench, log, third + 88, Buffer.from('X'))

  await bench.reopen()

  expect(await bench.texts()).toEqual(texts.slice(0, 2))
  expect(bench.warnings).toEqual(['the log had a torn tail: cut, its bytes kept aside'])
})

test('segments behind a damaged record are put aside, not lost', async () => {
  const { bench } = await filled(100) // three segments
  bench.kill()
  overwrite(bench, log, 0, Buffer.alloc(8, 1))

  await bench.reopen()

  expect(await bench.texts()).toEqual([])
  expect(bench.files.list('/store/torn').map(({ name }) => name)).toEqual([
    '00000000000000000000',
    '00000000000000004096.segment',
    '00000000000000008192.segment',
  ])
})

test.each([
  ['clean', 'all queues are missing', (bench: StoreBench) => bench.files.remove('/store/consumequeue')],
  ['clean', 'one queue is missing', (bench: StoreBench) => bench.files.remove('/store/consumequeue/orders/0')],
  ['clean', 'a queue is short', (bench: StoreBench) => overwrite(bench, queue, 5 * 20, Buffer.alloc(11 * 20))],
  ['clean', 'the end of a queue points elsewhere', (bench: StoreBench) => cutAndForge(bench)],
  ['clean', 'a queue file has another length', (bench: StoreBench) => cutShort(bench, queue)],
  ['killed', 'a queue file has another length', (bench: StoreBench) => cutShort(bench, queue)],
  ['killed', 'one queue is missing', (bench: StoreBench) => bench.files.remove('/store/consumequeue/orders/0')],
  ['killed', 'all queues are missing', (bench: StoreBench) => bench.files.remove('/store/consumequeue')],
  ['killed', 'the checkpoint is missing', (bench: StoreBench) => bench.files.remove('/store/checkpoint')],
  ['clean', 'the checkpoint is missing', (bench: StoreBench) => bench.files.remove('/store/checkpoint')],
  [
    'killed',
    'the checkpoint is garbage',
    (bench: StoreBench) => bench.files.writeText('/store/checkpoint', 'x'.repeat(4096)),
  ],
])('after a %s stop: %s', async (stop, _what, damage) => {
  const bench = await new StoreBench().open()
  const bills = ['bill']
  await bench.appendAll(bills, { topic: 'bills' })
  const texts = Array.from({ length: 16 }, (_, index) => `message ${index}`)
  await bench.appendAll(texts)
  await bench.appendAll(bills, { topic: 'bills' })
  await bench.clock.advance(11_000)
  if (stop === 'clean') await bench.close()
  else bench.kill()
  damage(bench)

  await bench.reopen()

  expect(await bench.texts()).toEqual(texts)
  expect(await bench.texts('bills')).toEqual(['bill', 'bill'])
  expect(bench.append()).toMatchObject({ queueOffset: 16 })
})

function cutShort(bench: StoreBench, path: string): void {
  const file = bench.files.open(path, 'existing')
  file.truncate(file.sizeBytes() - 20)
  file.close()
}

test('a queue that has another queue’s units is not believed', async () => {
  const { bench, texts } = await filled(3)
  await bench.appendAll(['other 0', 'other 1', 'other 2'], { queueId: 1 })
  await bench.close()
  const other = queue.replace('/0/', '/1/')
  bench.files.rename(queue, '/store/kept')
  bench.files.rename(other, queue)
  bench.files.rename('/store/kept', other)

  await bench.reopen()

  expect(await bench.texts()).toEqual(texts)
  expect(await bench.texts('orders', 1)).toEqual(['other 0', 'other 1', 'other 2'])
  expect(bench.warnings).toContain('a consume queue contradicts the log: rebuilding all')
})

test('a topic that is deleted after the checkpoint makes no other queue suspect', async () => {
  const { bench, texts } = await filled(5)
  await bench.appendAll(['bill'], { topic: 'bills' })
  await bench.clock.advance(11_000)
  bench.store.deleteTopic('bills')
  bench.kill()

  await bench.reopen()

  expect(bench.warnings).toEqual([])
  expect([...bench.store.queues()]).toEqual([{ topic: 'orders', queueId: 0 }])
  expect(await bench.texts()).toEqual(texts)
})

test('what a recovery made readable survives a power cut', async () => {
  const { bench, texts } = await filled(5)
  bench.kill()
  await bench.reopen()
  bench.cutPower(() => 0.999) // nothing that was not synced survives

  await bench.reopen()

  expect(await bench.texts()).toEqual(texts)
})

function cutAndForge(bench: StoreBench): void {
  const unit = Buffer.alloc(20)
  unit.writeInt32BE(100, 8)
  overwrite(bench, queue, 15 * 20, unit)
}

test('a checkpoint that names no record is not believed', async () => {
  const { bench, texts } = await filled()
  await bench.clock.advance(11_000)
  bench.kill()
  await writeCheckpoint(bench.files, '/store/checkpoint', {
    physicMsgTimestamp: 1,
    logicsMsgTimestamp: 1,
    indexMsgTimestamp: 0,
    queuesSyncedTo: 777,
    unitCount: undefined,
    index: undefined,
  })

  await bench.reopen()

  expect(await bench.texts()).toEqual(texts)
})

test("a crash after Apache's own checkpoint reads again from the segment that it names", async () => {
  const bench = await new StoreBench().open()
  const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`)
  for (const text of texts) {
    await bench.appendAll([text])
    await bench.clock.advance(200)
  }
  const newest = bench.store.storeTimestampAt('orders', 0, 99)
  bench.kill()
  await writeCheckpoint(bench.files, '/store/checkpoint', {
    physicMsgTimestamp: newest,
    logicsMsgTimestamp: newest,
    indexMsgTimestamp: 0,
    queuesSyncedTo: undefined,
    unitCount: undefined,
    index: undefined,
  })

  await bench.reopen()

  expect(await bench.texts()).toEqual(texts)
})

test('a delayed message gets its deliver time back from the log', async () => {
  const bench = await new StoreBench().open()
  const properties = 'TAGS\u0001TagA\u0002DELAY\u00012\u0002'
  const sent = bench.append({ topic: 'SCHEDULE_TOPIC_XXXX', queueId: 1, properties, tagsCode: 1 })
  await bench.clock.turn()
  bench.kill()

  await bench.reopen()
  let seen = 0
  await bench.store.read('SCHEDULE_TOPIC_XXXX', 1, 0, {
    countMax: 1,
    bytesMax: 1000,
    matches: (tagsCode) => {
      seen = tagsCode
      return true
    },
  })

  expect(seen).toBe(sent.storeTimestamp + 5000)
})

test('a log that begins in its middle, as after retention, gives queues that do too', async () => {
  const { bench, texts } = await filled(100)
  await bench.close()
  bench.files.remove('/store/commitlog/00000000000000000000')
  bench.files.remove('/store/consumequeue')

  await bench.reopen()
  const minOffset = bench.store.minOffset('orders', 0)
  const read = await bench.texts()

  expect(minOffset).toBeGreaterThan(20)
  expect(read).toEqual(texts.slice(minOffset))
  await bench.clock.advance(2000)
  await bench.close()
  await bench.reopen()
  expect(bench.store.minOffset('orders', 0)).toBe(minOffset)
  expect(await bench.texts()).toEqual(texts.slice(minOffset))
  expect(bench.warnings).toEqual([]) // the queues were believed, not built anew
})

test.each([
  [3, 1],
  [3, 40],
  [16, 40], // a file of the queue holds 16
])('behind %i units %i that outlived their records are not believed, then or later', async (kept, gone) => {
  const bench = await new StoreBench({ segmentBytes: 65_536 }).open()
  const texts = Array.from({ length: kept }, (_, index) => `kept ${index}`)
  await bench.appendAll(texts)
  await bench.clock.advance(20_000) // a checkpoint says that all of it is safe
  const [first] = await bench.appendAll(Array.from({ length: gone }, () => 'gone'))
  await bench.clock.advance(2_000) // their units are in the files
  bench.kill()
  overwrite(bench, log, first!.phyOffset, Buffer.alloc(65_536 - first!.phyOffset))

  await bench.reopen()
  const before = await bench.texts()
  const next = bench.append({ text: 'next' })
  await bench.appendAll(
    Array.from({ length: gone + 10 }, () => 'elsewhere'),
    { queueId: 1 },
  )
  await bench.close()
  await bench.reopen()

  expect(before).toEqual(texts)
  expect(next).toMatchObject({ queueOffset: kept, phyOffset: first!.phyOffset })
  expect(await bench.texts()).toEqual([...texts, 'next'])
  expect(bench.warnings).toEqual([]) // the queues were believed, not built anew
})

test('segments that do not fit the settings stop the start, by name', async () => {
  const { bench } = await filled(3)
  await bench.close()

  await expect(new StoreBench({ segmentBytes: 8192 }, bench.files).open()).rejects.toMatchObject({
    code: 'STORE_CORRUPT',
    facts: { path: log, sizeBytes: 4096, expectedBytes: 8192 },
  })
})

test.each(['recovers', 'cuts a torn tail'])('a process that dies while it %s can be started again', async (what) => {
  const { bench, texts } = await filled(45) // into the second segment
  const last = '/store/commitlog/00000000000000004096'
  bench.kill()
  const { sizeBytes } = bench.files.list('/store/commitlog').at(-1)!
  const end = new CommitLog(bench.files, '/store/commitlog', 4096, 2048)
  const endOffset = await scanRecords(end, 0, true, () => {})
  if (what === 'cuts a torn tail') overwrite(bench, last, endOffset - 4096, Buffer.alloc(200, 7))
  const { open } = bench.files
  bench.files.open = (path, mode) => {
    const file = open.call(bench.files, path, mode)
    let cuts = 0
    const truncate = (bytes: number) => {
      if (path === last && cuts++ > 0) throw new Error('dies here')
      file.truncate(bytes)
    }
    return { ...file, truncate }
  }
  await expect(bench.reopen()).rejects.toThrow('dies here')
  bench.files.open = open
  bench.kill()
  expect(bench.files.list('/store/commitlog').at(-1)!.sizeBytes).toBeLessThan(sizeBytes)

  await bench.reopen()

  expect(bench.warnings).toEqual(['a segment was cut when the last process died: lengthened'])
  expect(await bench.texts()).toEqual(texts)
  expect(bench.append()).toMatchObject({ queueOffset: 45, phyOffset: endOffset })
})

test('a segment that is cut while it is read ends the log there', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['a', 'b'])
  await bench.close()
  const log = new CommitLog(bench.files, '/store/commitlog', 4096, 2048)
  const head = Buffer.alloc(4)
  log.segments.file(0).read(head, 0)
  const size = head.readInt32BE(0)

  bench.files.open('/store/commitlog/00000000000000000000', 'existing').truncate(size + 50)
  const end = await scanRecords(log, 0, true, () => {})

  expect(end).toBe(size)
})

test('records that name no queue are told, and keep nobody from the others', async () => {
  const bench = await new StoreBench().open()
  const sent = await bench.appendAll(['0', '1', '2'], { topic: 'at', queueId: 1 })
  await bench.close()
  const file = bench.files.open('/store/commitlog/00000000000000000000', 'existing')
  file.write(Buffer.from('ffffffff', 'hex'), sent[0]!.phyOffset + recordAt.queueId)
  file.write(Buffer.from('..'), sent[1]!.phyOffset + sent[1]!.size - 2 - 2) // before its properties' length
  file.close()
  bench.files.remove('/store/consumequeue')

  await bench.reopen()

  expect(bench.warnings.filter((text) => text.includes('names no queue'))).toHaveLength(2)
  expect(await bench.texts('at', 1)).toEqual(['2'])
})

test.each([2 ** 40, 7])('one queue offset that is not so (%d) hides no more than it must', async (queueOffset) => {
  const bench = await new StoreBench().open()
  const texts = Array.from({ length: 20 }, (_, index) => `${index}`)
  const sent = await bench.appendAll(texts)
  await bench.close()
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(queueOffset))
  const file = bench.files.open('/store/commitlog/00000000000000000000', 'existing')
  file.write(bytes, sent[5]!.phyOffset + recordAt.queueOffset)
  file.close()
  bench.files.remove('/store/consumequeue')

  await bench.reopen()

  const found = await bench.texts()
  const lost = queueOffset === 7 ? ['6', '7'] : ['5'] // it stands in the place of one of them
  expect(found).toEqual(texts.filter((text) => !lost.includes(text)))
  expect(bench.append().queueOffset).toBe(20)
})

test('a store that was stopped starts on a full disk, and can be read', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['before'])
  await bench.close()
  bench.files.writeFailure = 'ENOSPC'

  await bench.reopen()
  expect(await bench.texts()).toEqual(['before'])
  const [refused] = await bench.appendAll(['refused'])
  expect(refused!.status).toBe('failed')
  bench.kill()
  bench.files.writeFailure = undefined
  await bench.reopen()
  expect(await bench.texts()).toEqual(['before'])
})
