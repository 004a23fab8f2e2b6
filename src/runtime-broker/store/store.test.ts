import { expect, test } from '@jest/globals'
import { OperatingError } from '../../base/errors.ts'
import { MemoryFiles } from '../../base/testing/files.ts'
import { message, StoreBench } from './testing/bench.ts'

const segment = '/store/commitlog/00000000000000000000'

test('an append is readable and settled when its turn ends', async () => {
  const bench = await new StoreBench().open()

  const sent = bench.append({ text: 'paid' })
  expect(sent).toMatchObject({ queueOffset: 0, phyOffset: 0, status: undefined })
  expect(bench.store.maxOffset('orders', 0)).toBe(0)
  await bench.clock.turn()

  expect(sent.status).toBe('ok')
  expect(await bench.texts()).toEqual(['paid'])
  expect(bench.store.recordAt(0)?.length).toBe(sent.size)
})

const kib = 'x'.repeat(1024)
const large = { segmentBytes: 4_194_304 }

test('a turn with much to write ends with the read that brought it', async () => {
  const bench = await new StoreBench(large).open()
  const appendMany = (count: number) => Array.from({ length: count }, () => bench.append({ text: kib }))

  const first = appendMany(100)
  expect(first.every(({ status }) => status === undefined)).toBe(true)
  await Promise.resolve() // the turn of the event loop has not ended: other reads may follow
  const second = appendMany(100)
  await Promise.resolve()
  expect(bench.store.maxOffset('orders', 0)).toBe(200)
  const fewer = appendMany(70)
  await Promise.resolve()

  expect([...first, ...second].every(({ status }) => status === 'ok')).toBe(true)
  expect(fewer.every(({ status }) => status === undefined)).toBe(true)
  await bench.clock.turn()
  expect(fewer.every(({ status }) => status === 'ok')).toBe(true)
})

test('a turn of SYNC_FLUSH does not end early: all of it shares one fsync', async () => {
  const bench = await new StoreBench({ ...large, flush: 'SYNC' }).open()
  const sent = Array.from({ length: 200 }, () => bench.append({ text: kib, waitsForFlush: false }))
  await Promise.resolve()

  expect(sent.every(({ status }) => status === undefined)).toBe(true)
  await bench.clock.turn()
  expect(sent.every(({ status }) => status === 'ok')).toBe(true)
})

test('where the early end of a turn cannot be written, each is refused once and no offset is lost', async () => {
  const bench = await new StoreBench(large).open()
  const told: string[] = []
  const append = () => bench.store.append(message({ text: kib }), { settle: (status) => void told.push(status) })
  await bench.appendAll(['there is a segment'])

  bench.files.writeFailure = 'EIO'
  for (let count = 0; count < 100; count++) append()
  await Promise.resolve()
  expect(told).toEqual(Array(100).fill('failed'))
  bench.files.writeFailure = undefined
  await bench.clock.advance(2_000)

  expect(told.length).toBe(100)
  expect(append().queueOffset).toBe(1)
})

test('a store that is closed while much is to be written has all of it', async () => {
  const bench = await new StoreBench(large).open()
  for (let count = 0; count < 100; count++) bench.append({ text: kib })
  await bench.close()

  expect((await (await bench.reopen()).texts()).length).toBe(100)
})

test('a record whose segment ends within it is none', async () => {
  const bench = await new StoreBench().open()
  const [sent] = await bench.appendAll(['paid'], { properties: 'KEYS\u0001k\u0002' })
  const whole = bench.store.recordAt(0)

  bench.files.open(segment, 'existing').truncate(sent!.size - 3)

  expect([whole?.length, bench.store.recordAt(0)]).toEqual([sent!.size, undefined])
})

test('records fill segments and never straddle them', async () => {
  const bench = await new StoreBench().open()
  const texts = Array.from({ length: 30 }, (_, index) => `${index}`.padEnd(300, '.'))

  for (const text of texts) bench.append({ text }) // all in one turn, over three segments
  await bench.clock.turn()

  expect(await bench.texts()).toEqual(texts)
  expect(bench.files.list('/store/commitlog').map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
    ['00000000000000000000', 4096],
    ['00000000000000004096', 4096],
    ['00000000000000008192', 4096],
  ])
})

test('a batch lies together in one segment', async () => {
  const bench = await new StoreBench().open()
  bench.append({ text: 'x'.repeat(2000) })
  let status: string | undefined

  const all = bench.store.appendBatch(
    Array.from({ length: 5 }, (_, index) => message({ text: `${index}`.repeat(400) })),
    { settle: (is) => void (status = is) },
  )
  await bench.clock.turn()

  expect(all.map(({ queueOffset }) => queueOffset)).toEqual([1, 2, 3, 4, 5])
  expect(all[0]?.phyOffset).toBe(4096)
  expect(status).toBe('ok')
  expect((await bench.texts()).length).toBe(6)
})

test('a batch with a message that is illegal leaves nothing behind', async () => {
  const bench = await new StoreBench().open()
  const properties = `K\u0001${'v'.repeat(33_000)}\u0002`
  const batch = [message(), message({ properties })]

  expect(() => bench.store.appendBatch(batch, { settle: () => {} })).toThrow('MESSAGE_ILLEGAL')
  const sent = bench.append({ text: 'next' })
  await bench.clock.turn()

  expect(sent).toMatchObject({ queueOffset: 0, phyOffset: 0, status: 'ok' })
  expect(await bench.texts()).toEqual(['next'])
})

test('prepared and rolled back messages get no place in a queue', async () => {
  const bench = await new StoreBench().open()

  const prepared = bench.append({ sysFlag: 0x4 })
  const committed = bench.append({ sysFlag: 0x8, text: 'done' })
  await bench.clock.turn()

  expect(prepared).toMatchObject({ queueOffset: 0, status: 'ok' })
  expect(committed).toMatchObject({ queueOffset: 0, status: 'ok' })
  expect(await bench.texts()).toEqual(['done'])
})

test('reads say where the offset stands', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['a', 'b', 'c'])
  const read = async (offset: number, topic = 'orders') => {
    const limits = { countMax: 2, bytesMax: 65_536 }
    const { status, nextBeginOffset, count } = await bench.store.read(topic, 0, offset, limits)
    return [status, nextBeginOffset, count]
  }

  expect(await read(0)).toEqual(['found', 2, 2])
  expect(await read(2)).toEqual(['found', 3, 1])
  expect(await read(3)).toEqual(['overflowOne', 3, 0])
  expect(await read(9)).toEqual(['overflowBadly', 3, 0])
  expect(await read(-1)).toEqual(['tooSmall', 0, 0])
  expect(await read(0, 'unknown')).toEqual(['noQueue', 0, 0])
})

test('a read returns at least one message, and no more bytes than asked', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['a'.repeat(500), 'b'.repeat(500), 'c'.repeat(500)])

  const small = await bench.store.read('orders', 0, 0, { countMax: 10, bytesMax: 10 })
  const two = await bench.store.read('orders', 0, 0, { countMax: 10, bytesMax: 1300 })

  expect(small).toMatchObject({ count: 1, nextBeginOffset: 1 })
  expect(two).toMatchObject({ count: 2, nextBeginOffset: 2 })
})

test('a filter skips units and says how far it looked', async () => {
  const bench = await new StoreBench().open()
  for (let index = 0; index < 10; index++) bench.append({ text: `${index}`, tagsCode: index % 2 })
  await bench.clock.turn()
  const limits = { countMax: 3, bytesMax: 65_536 }

  const odd = await bench.store.read('orders', 0, 0, { ...limits, matches: (tagsCode) => tagsCode === 1 })
  const none = await bench.store.read('orders', 0, 0, { ...limits, matches: () => false })

  expect(odd).toMatchObject({ status: 'found', count: 3, nextBeginOffset: 6 })
  expect(none).toMatchObject({ status: 'noMatch', count: 0, nextBeginOffset: 10 })
})

test.each([
  ['behind the end of the log', 1_000_000, 100],
  ['across the end of a segment', 4000, 100],
  ['to nothing', 300, 0],
])('a unit that points %s is skipped', async (_, phyOffset, size) => {
  const bench = await new StoreBench().open()
  const texts = Array.from({ length: 50 }, (_, index) => `message ${index}`)
  await bench.appendAll(texts)
  await bench.clock.advance(2000) // the queue is in its file
  const unit = Buffer.alloc(20)
  unit.writeInt32BE(phyOffset, 4)
  unit.writeInt32BE(size, 8)
  const file = bench.files.open('/store/consumequeue/orders/0/00000000000000000000', 'existing')
  file.write(unit, 2 * 20)
  file.close()

  expect(await bench.texts()).toEqual(texts.filter((_, index) => index !== 2))
  const limits = { countMax: 1, bytesMax: 1 }
  expect(await bench.store.read('orders', 0, 2, limits)).toMatchObject({ status: 'foundNull', nextBeginOffset: 3 })
})

test('arrivals are told after the message became readable', async () => {
  const bench = await new StoreBench().open()
  const seen: unknown[] = []
  bench.store.onArrival((topic, queueId, maxOffset, tagsCode) => {
    seen.push([topic, queueId, maxOffset, tagsCode, bench.store.maxOffset(topic, queueId)])
  })

  bench.append({ queueId: 3, tagsCode: 7 })
  expect(seen).toEqual([])
  await bench.clock.turn()

  expect(seen).toEqual([['orders', 3, 1, 7, 1]])
})

test('SYNC_FLUSH acknowledges and shows a message only after the fsync that covers it', async () => {
  let letSync = () => {}
  const files = new MemoryFiles({ beforeSync: () => new Promise((resolve) => void (letSync = resolve)) })
  const opening = new StoreBench({ flush: 'SYNC' }, files).open()
  const bench = await opening

  const first = bench.append({ text: 'first' })
  await bench.clock.turn()
  const second = bench.append({ text: 'second' }) // written while the fsync for the first one runs
  const hasty = bench.append({ text: 'hasty', waitsForFlush: false })
  await bench.clock.turn()
  expect([first.status, second.status, hasty.status]).toEqual([undefined, undefined, 'ok'])
  expect(await bench.texts()).toEqual([])

  letSync()
  await bench.clock.turn()
  expect([first.status, second.status]).toEqual(['ok', undefined])
  expect(await bench.texts()).toEqual(['first'])

  letSync()
  await bench.clock.turn()
  expect(second.status).toBe('ok')
  expect(await bench.texts()).toEqual(['first', 'second', 'hasty'])
})

test('a slow fsync is reported as flushTimeout, and the message comes later', async () => {
  let letSync = () => {}
  const files = new MemoryFiles({ beforeSync: () => new Promise((resolve) => void (letSync = resolve)) })
  const bench = await new StoreBench({ flush: 'SYNC' }, files).open()

  const sent = bench.append({ text: 'late' })
  await bench.clock.advance(5001)
  expect(sent.status).toBe('flushTimeout')

  letSync()
  await bench.clock.turn()
  expect(await bench.texts()).toEqual(['late'])
})

test('an fsync that fails ends writing: the system may have dropped what it could not write', async () => {
  const bench = await new StoreBench({ flush: 'SYNC' }).open()
  bench.files.syncFailure = 'EIO'

  const sent = bench.append({ text: 'doubtful' })
  await bench.clock.turn()
  bench.files.syncFailure = undefined

  expect(sent.status).toBe('failed')
  expect(() => bench.append()).toThrow('STORE_CLOSED')
})

test.each([
  ['ENOSPC', 'STORE_FULL'],
  ['EIO', 'STORE_CLOSED'],
] as const)(
  'a write that fails with %s acknowledges nothing, leaves no gap, and is tried again later',
  async (failure, refusal) => {
    const bench = await new StoreBench().open()
    await bench.appendAll(['before'])
    bench.files.writeFailure = failure

    const lost = [bench.append({ text: 'lost' }), bench.append({ text: 'lost too', queueId: 1 })]
    await bench.clock.turn()
    expect(lost.map(({ status }) => status)).toEqual(['failed', 'failed'])
    expect(() => bench.append()).toThrow(refusal)
    expect(await bench.texts()).toEqual(['before'])

    bench.files.writeFailure = undefined
    expect(() => bench.append()).toThrow(refusal) // not before its time
    await bench.clock.advance(1001)
    const after = bench.append({ text: 'after' })
    await bench.clock.turn()
    expect(after).toMatchObject({ queueOffset: 1, status: 'ok' })
    expect(await bench.texts()).toEqual(['before', 'after'])

    bench.kill()
    await bench.reopen()
    expect(await bench.texts()).toEqual(['before', 'after'])
  },
)

test('a volume that is nearly full takes no messages until it has room again', async () => {
  const bench = await new StoreBench().open()
  bench.files.space = { totalBytes: 1000, freeBytes: 50 }
  await bench.clock.advance(10_000)
  expect(() => bench.append()).toThrow('STORE_FULL')

  bench.files.space = { totalBytes: 1000, freeBytes: 500 }
  await bench.clock.advance(10_000)
  expect(bench.append().queueOffset).toBe(0)
})

test('of a segment that is shorter than it was, nothing is served that was not read', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['first', 'second', 'third'])
  const read = (countMax: number) => bench.store.read('orders', 0, 0, { countMax, bytesMax: 65_536 })
  const { bytes } = await read(2)

  bench.files.open(segment, 'existing').truncate(bytes + 10)

  expect(await read(3)).toMatchObject({ status: 'found', count: 1 }) // half of them
  expect(() => bench.store.read('orders', 0, 2, { countMax: 1, bytesMax: 65_536 })).toThrow('FILE_FAILED')
})

test.each([
  ['the store is deleted', (files: MemoryFiles) => files.remove('/store')],
  ['the segment is cut', (files: MemoryFiles) => files.open(segment, 'existing').truncate(100)],
])('when %s under it, a store acknowledges nothing more', async (_, harm) => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['before'])
  expect(bench.store.failure).toBeUndefined()

  harm(bench.files)
  await bench.clock.advance(10_000)

  expect(() => bench.append()).toThrow('STORE_CLOSED')
  expect(bench.store.failure?.message).toContain(segment)
  await bench.clock.advance(60_000)
  await bench.close() // it ends, all the same
})

test('a volume that cannot be asked refuses messages until it can', async () => {
  const bench = await new StoreBench().open()
  const { diskSpace } = bench.files
  bench.files.diskSpace = () => {
    throw new OperatingError('FILE_FAILED', { code: 'EIO' })
  }
  await bench.clock.advance(10_000)
  expect(() => bench.append()).toThrow('STORE_CLOSED')

  bench.files.diskSpace = diskSpace
  await bench.clock.advance(10_000)
  expect(bench.append().queueOffset).toBe(0)
  expect(bench.store.failure).toBeUndefined()
})

test('illegal messages are refused', async () => {
  const bench = await new StoreBench().open()

  expect(() => bench.append({ body: Buffer.alloc(2049) })).toThrow('MESSAGE_ILLEGAL')
  for (const topic of ['', '..', 'a/b', 'x'.repeat(256)])
    expect(() => bench.append({ topic })).toThrow('MESSAGE_ILLEGAL')
  expect(() => bench.append({ queueId: -1 })).toThrow('MESSAGE_ILLEGAL')
})

test('a disk that stays full is said once', async () => {
  const bench = await new StoreBench().open()
  bench.files.writeFailure = 'ENOSPC'

  for (let second = 0; second < 5; second++) {
    bench.append()
    await bench.clock.advance(1001)
  }

  expect(bench.warnings).toEqual(['the commit log cannot be written: new messages are refused'])
  bench.files.writeFailure = undefined
  const [sent] = await bench.appendAll(['there is room'])
  expect(sent).toMatchObject({ queueOffset: 0, status: 'ok' })
})

test('a second process is kept out', async () => {
  const bench = await new StoreBench().open()

  await expect(new StoreBench({}, bench.files).open()).rejects.toThrow('STORE_LOCKED')
  await bench.close()
  await new StoreBench({}, bench.files).open()
})

test('a deleted topic is gone, and stays gone when the queues are rebuilt', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['old', 'older'])
  await bench.appendAll(['other'], { topic: 'bills' })
  bench.store.deleteTopic('orders')
  expect(await bench.texts()).toEqual([])
  await bench.appendAll(['new'])
  await bench.close()

  bench.files.remove('/store/consumequeue')
  await bench.reopen()

  expect(await bench.texts()).toEqual(['new'])
  expect(await bench.texts('bills')).toEqual(['other'])
})

test('a topic that was made again has its first unit in a file at once', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['old', 'older'])
  bench.store.deleteTopic('orders')

  const [first] = await bench.appendAll(['new', 'newer'])

  const file = bench.files.open('/store/consumequeue/orders/0/00000000000000000000', 'reading')
  const unit = Buffer.alloc(12)
  file.read(unit, 0)
  expect(Number(unit.readBigInt64BE(0))).toBe(first!.phyOffset)
  expect(unit.readInt32BE(8)).toBe(first!.size)
})

test('offsets by time', async () => {
  const bench = await new StoreBench().open()
  const times: number[] = []
  for (const text of ['a', 'b', 'c']) {
    times.push((await bench.appendAll([text]))[0]!.storeTimestamp)
    await bench.clock.advance(1000)
  }
  const find = (time: number, boundary: 'lower' | 'upper') => bench.store.offsetByTime('orders', 0, time, boundary)

  expect([find(times[1]!, 'lower'), find(times[1]!, 'upper')]).toEqual([1, 1])
  expect([find(times[1]! + 1, 'lower'), find(times[1]! + 1, 'upper')]).toEqual([2, 1])
  expect([find(0, 'lower'), find(0, 'upper')]).toEqual([0, 0])
  expect([find(times[2]! + 1, 'lower'), find(times[2]! + 1, 'upper')]).toEqual([3, 2])
  expect(bench.store.storeTimestampAt('orders', 0, 2)).toBe(times[2])
  expect(bench.store.storeTimestampAt('orders', 0, 3)).toBe(-1)
})
