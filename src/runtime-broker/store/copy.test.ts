import { expect, test } from '@jest/globals'
import { isOperatingError } from '../../base/errors.ts'
import { message, StoreBench } from './testing/bench.ts'
import type { AppendWaiter, CopiedLog, RawLog } from './types.ts'

/** Bytes of the log as a master would send them, in pieces of any length. */
function* pieces(raw: RawLog, from: number, lengths: readonly number[]): Generator<[number, Buffer]> {
  for (let at = from, index = 0; at < raw.maxOffset; index++) {
    const left = Math.min(raw.maxOffset - at, raw.segmentBytes - (at % raw.segmentBytes))
    const bytes = Buffer.alloc(Math.min(lengths[index % lengths.length]!, left))
    raw.read(bytes, at)
    yield [at, bytes]
    at += bytes.length
  }
}

function copyOf(bench: StoreBench): CopiedLog {
  return bench.store.raw.copy!
}

async function copy(master: StoreBench, slave: StoreBench, lengths = [1000]): Promise<void> {
  for (const [at, bytes] of pieces(master.store.raw, slave.store.raw.maxOffset, lengths)) {
    copyOf(slave).append(at, bytes)
    await slave.clock.turn()
  }
}

async function benches(settings: Partial<StoreBench['settings']> = {}) {
  const master = await new StoreBench().open()
  const slave = await new StoreBench({ isCopy: true, ...settings }).open()
  return { master, slave }
}

const texts = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `message ${from + index}`)

function bodies(messages: { body: Buffer }[]): string[] {
  return messages.map(({ body }) => body.toString())
}

test.each([[[7]], [[13, 1, 4096]], [[50_000]]])(
  'a copy has the same bytes and the same queues, however the bytes are cut: %j',
  async (lengths) => {
    const { master, slave } = await benches()
    await master.appendAll(texts(0, 60)) // over several segments of 4 KiB
    await master.appendAll(texts(60, 70), { queueId: 3, tagsCode: 17 })

    await copy(master, slave, lengths)

    expect(bodies(await slave.readAll())).toEqual(texts(0, 60))
    expect(bodies(await slave.readAll('orders', 3))).toEqual(texts(60, 70))
    const { maxOffset } = master.store.raw
    expect(slave.store.raw.maxOffset).toBe(maxOffset)
    const own = Buffer.concat([...pieces(slave.store.raw, 0, [4096])].map(([, bytes]) => bytes))
    expect(own.equals(Buffer.concat([...pieces(master.store.raw, 0, [4096])].map(([, bytes]) => bytes)))).toBe(true)
  },
)

test('a message is readable, and told to those who wait for it, when its last byte came', async () => {
  const { master, slave } = await benches()
  await master.appendAll(['first', 'second'])
  const arrivals: number[] = []
  slave.store.onArrival((_topic, _queueId, maxOffset) => void arrivals.push(maxOffset))
  const { maxOffset } = master.store.raw
  const [[, all]] = [...pieces(master.store.raw, 0, [maxOffset])] as [[number, Buffer]]

  copyOf(slave).append(0, all.subarray(0, -1))
  await slave.clock.turn()
  expect(arrivals).toEqual([1])
  copyOf(slave).append(maxOffset - 1, all.subarray(-1))
  await slave.clock.turn()

  expect(arrivals).toEqual([1, 2])
  expect(copyOf(slave).dispatchedOffset).toBe(maxOffset)
})

test('a copy takes no messages of its own', async () => {
  const { slave } = await benches()
  expect(() => slave.append()).toThrow(expect.objectContaining({ code: 'STORE_CLOSED' }))
})

test('a copy that is stopped in the middle of a record goes on from the record’s beginning, without a torn tail', async () => {
  const { master, slave } = await benches()
  await master.appendAll(texts(0, 3))
  const { maxOffset } = master.store.raw
  const [[, all]] = [...pieces(master.store.raw, 0, [maxOffset])] as [[number, Buffer]]
  copyOf(slave).append(0, all.subarray(0, -5))
  await slave.clock.turn()

  await slave.close()
  await slave.open()

  expect(slave.warnings).toEqual([])
  expect(slave.store.raw.maxOffset).toBe(Math.round((maxOffset / 3) * 2))
  await copy(master, slave)
  expect(bodies(await slave.readAll())).toEqual(texts(0, 3))
})

test('a copy of a log whose beginning is gone has queues that begin later, also after a restart', async () => {
  const { master, slave } = await benches()
  await master.appendAll(texts(0, 60))
  const start = 4096
  copyOf(slave).beginAt(start)

  await copy(master, slave)

  const { minOffset } = { minOffset: slave.store.minOffset('orders', 0) }
  expect(minOffset).toBeGreaterThan(0)
  expect(bodies(await slave.readAll())).toEqual(texts(minOffset, 60))
  await slave.close()
  await slave.open()
  expect(slave.store.raw.minOffset).toBe(start)
  expect(bodies(await slave.readAll())).toEqual(texts(minOffset, 60))
  expect(slave.warnings).toEqual([]) // the queues were believed, not built anew
})

test('bytes that are no record are found out, cut, and copied again', async () => {
  const { master, slave } = await benches()
  await master.appendAll(texts(0, 6))
  const { maxOffset } = master.store.raw
  const [[, all]] = [...pieces(master.store.raw, 0, [maxOffset])] as [[number, Buffer]]
  const damaged = Buffer.from(all)
  const at = Math.floor((maxOffset / 6) * 4) + 90 // in the body of the fifth
  damaged[at] = damaged[at]! ^ 1
  copyOf(slave).append(0, damaged)
  await slave.clock.turn()
  const fault = copyOf(slave).faultOffset!
  expect(fault).toBe((maxOffset / 6) * 4)

  await slave.turnUntil(copyOf(slave).cut(fault))
  await copy(master, slave)

  expect(copyOf(slave).faultOffset).toBeUndefined()
  expect(bodies(await slave.readAll())).toEqual(texts(0, 6))
  expect(slave.files.list('/store/torn').map(({ name }) => name)).toEqual([String(fault).padStart(20, '0')])
})

test('the keys of what comes in the place of what was cut are found', async () => {
  const { master, slave } = await benches()
  const other = await new StoreBench().open()
  for (const [bench, key] of [[master, 'old'] as const, [other, 'new'] as const]) {
    for (const keys of ['both', key]) bench.append({ text: keys, properties: `KEYS\u0001${keys}\u0002` })
    await bench.clock.turn()
  }
  await copy(master, slave)
  expect(await slave.find('old')).toEqual(['old'])

  await slave.turnUntil(copyOf(slave).cut(copyOf(slave).recordEndBefore(master.store.raw.maxOffset - 1)))
  await copy(other, slave)

  expect(await slave.find('both')).toEqual(['both'])
  expect(await slave.find('new')).toEqual(['new'])
})

test.each(['SYNC', 'ASYNC'] as const)(
  'what is cut off is gone from the queues too, also after a crash, %s',
  async (flush) => {
    const { master, slave } = await benches({ flush })
    await master.appendAll(texts(0, 50))
    await copy(master, slave)
    await slave.clock.advance(20_000) // a checkpoint says that all of it is safe
    const end = copyOf(slave).recordEndBefore(3000)
    const kept = Math.floor(bodies(await slave.readAll()).length * (end / master.store.raw.maxOffset))

    await slave.turnUntil(copyOf(slave).cut(end))
    const left = bodies(await slave.readAll())
    slave.files.cutPower(() => 0.999)
    await slave.open()

    expect(end).toBeGreaterThan(2000)
    expect(slave.store.raw.maxOffset).toBe(end)
    expect(left).toEqual(texts(0, left.length))
    expect(Math.abs(left.length - kept)).toBeLessThan(3)
    expect(bodies(await slave.readAll())).toEqual(left)
    await copy(master, slave)
    expect(bodies(await slave.readAll())).toEqual(texts(0, 50))
  },
)

test('with SYNC_FLUSH a copied message is readable when it is safe', async () => {
  let finish = () => {}
  const files = new (await import('../../base/testing/files.ts')).MemoryFiles({
    beforeSync: () => (isOpen ? new Promise((resolve) => (finish = resolve)) : Promise.resolve()),
  })
  let isOpen = false
  const master = await new StoreBench().open()
  const slave = await new StoreBench({ isCopy: true, flush: 'SYNC' }, files).open()
  isOpen = true
  await master.appendAll(['paid'])
  const progress: number[] = []
  slave.store.raw.onProgress(() => void progress.push(slave.store.raw.flushedOffset))

  await copy(master, slave)
  expect(slave.store.maxOffset('orders', 0)).toBe(0)
  finish()
  await slave.clock.turn()

  expect(slave.store.maxOffset('orders', 0)).toBe(1)
  expect(progress.at(-1)).toBe(master.store.raw.maxOffset)
  isOpen = false
  finish()
})

test('a copy whose disk refuses the bytes says so, and goes on where it stands', async () => {
  const { master, slave } = await benches()
  await master.appendAll(texts(0, 4))
  await copy(master, slave)
  const { maxOffset } = slave.store.raw
  await master.appendAll(texts(4, 8))
  slave.files.writeFailure = 'ENOSPC'
  await copy(master, slave).catch(() => {})
  slave.files.writeFailure = undefined
  expect(slave.store.raw.maxOffset).toBe(maxOffset)

  let refusal: unknown
  await copy(master, slave).catch((error) => (refusal = error))
  expect(isOperatingError(refusal, 'STORE_FULL')).toBe(true)
  await slave.clock.advance(1500)
  await copy(master, slave)

  expect(bodies(await slave.readAll())).toEqual(texts(0, 8))
})

test('a gate is asked in the order of the log, and only for those who want to wait', async () => {
  const { master } = await benches()
  const held: { endOffset: number; waiter: AppendWaiter }[] = []
  master.store.raw.settleThrough({ hold: (endOffset, waiter) => held.push({ endOffset, waiter }) > 0 })
  const sent = [master.append({ text: 'one' }), master.append({ text: 'two', waitsForFlush: false }), master.append()]

  await master.clock.turn()

  expect(sent.map(({ status }) => status)).toEqual([undefined, 'ok', undefined])
  expect(held.map(({ endOffset }) => endOffset)).toEqual(
    [sent[0]!, sent[2]!].map(({ phyOffset, size }) => phyOffset + size),
  )
  held[1]!.waiter.settle('slaveTimeout')
  expect(sent[2]!.status).toBe('slaveTimeout')
  expect(await master.readAll()).toHaveLength(3)
})

test('a gate that does not hold changes nothing', async () => {
  const { master } = await benches()
  master.store.raw.settleThrough({ hold: () => false })
  const sent = master.append(message())
  await master.clock.turn()
  expect(sent.status).toBe('ok')
})

test.each(['SYNC', 'ASYNC'] as const)(
  'a copy that cannot be read for a while becomes readable after it, %s flush',
  async (flush) => {
    const { master } = await benches()
    const slave = await new StoreBench({ isCopy: true, flush }).open()
    await master.appendAll(texts(0, 2))
    await copy(master, slave)
    slave.files.isDamaged = (path) => path.includes('/commitlog/')
    await master.appendAll(texts(2, 4))
    await copy(master, slave)
    expect(slave.warnings).toEqual(['what was copied cannot be read: trying again'])

    slave.files.isDamaged = () => false
    await slave.clock.advance(5000)
    expect(bodies(await slave.readAll())).toEqual(texts(0, 4))
  },
)
