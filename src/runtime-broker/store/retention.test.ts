import { expect, test } from '@jest/globals'
import { OperatingError } from '../../base/errors.ts'
import { cleaningOf, countToRemove } from './retention.ts'
import { message, retention, StoreBench } from './testing/bench.ts'

const hourMs = 3_600_000

test.each([
  ['the volume has room and it is another hour', { usedRatio: 0.5, hour: 5 }, 'nothing'],
  ['it is the hour', { usedRatio: 0.5, hour: 4 }, 'expired'],
  ['it is one of several hours', { usedRatio: 0.5, hour: 16 }, 'expired'],
  ['an admin asked', { usedRatio: 0.5, hour: 5, isManual: true }, 'expired'],
  ['the volume is above diskMaxUsedSpaceRatio', { usedRatio: 0.76, hour: 5 }, 'expired'],
  ['the volume is above diskSpaceCleanForciblyRatio', { usedRatio: 0.86, hour: 5 }, 'oldest'],
])('when %s', (_, state, cleaning) => {
  expect(cleaningOf({ ...retention, deleteWhen: '04; 16' }, { isManual: false, ...state })).toBe(cleaning)
})

test('an unexpired segment is safe from a full volume when cleanFileForciblyEnable is false', () => {
  const settings = { ...retention, cleanFileForciblyEnable: false }

  expect(cleaningOf(settings, { usedRatio: 0.99, hour: 5, isManual: false })).toBe('expired')
})

test('segments go oldest first, up to the first that has not expired, the last one never', () => {
  const now = 1000 * hourMs
  const ages = [100, 80, 71, 90, 90].map((hours, index) => ({ start: index * 10, modifiedAt: now - hours * hourMs }))
  const count = (cleaning: 'expired' | 'oldest' | 'nothing', safeTo = 1000, batchMax = 10) => {
    const settings = { ...retention, deleteFileBatchMax: batchMax }
    return countToRemove(cleaning, ages, { now, segmentBytes: 10, safeTo, settings })
  }

  expect(count('expired')).toBe(2)
  expect(count('oldest')).toBe(4)
  expect(count('nothing')).toBe(0)
  expect(count('oldest', 29)).toBe(2) // what is not flushed and checkpointed stays
  expect(count('oldest', 1000, 3)).toBe(3)
})

const shortLived = { ...retention, fileReservedHours: 1, deleteWhen: '25' } // an hour that never comes

/** Five segments in two queues, the first three expired. */
async function expiring(settings: ConstructorParameters<typeof StoreBench>[0] = {}): Promise<StoreBench> {
  const bench = await new StoreBench({ retention: () => shortLived, ...settings }).open()
  const fill = async (first: number, count: number) => {
    for (let index = first; index < first + count; index++) {
      const properties = `KEYS\u0001k${index}\u0002`
      bench.append({ queueId: index % 2, text: `${index}`.padEnd(900, '.'), properties })
      await bench.clock.turn()
    }
  }
  await fill(0, 13) // four to a segment, and a fifth ends it
  await bench.clock.advance(2 * hourMs)
  await fill(13, 7)
  await bench.clock.advance(11_000) // a checkpoint
  return bench
}

async function clean(bench: StoreBench): Promise<void> {
  bench.store.removeExpiredSegments()
  await bench.clock.advance(1000)
}

const numbers = async (bench: StoreBench, queueId: number) =>
  (await bench.texts('orders', queueId)).map(Number.parseFloat)
const segmentNames = (bench: StoreBench) => bench.files.list('/store/commitlog').map(({ name }) => Number(name))

test('expired segments are gone, and queues begin where the log does', async () => {
  const bench = await expiring()

  await clean(bench)

  expect(segmentNames(bench)).toEqual([12_288, 16_384])
  expect(bench.store.commitLog.minOffset).toBe(12_288)
  expect([bench.store.minOffset('orders', 0), bench.store.maxOffset('orders', 0)]).toEqual([6, 10])
  expect(await numbers(bench, 0)).toEqual([12, 14, 16, 18])
  const behind = await bench.store.read('orders', 0, 2, { countMax: 32, bytesMax: 65_536 })
  expect(behind).toMatchObject({ status: 'tooSmall', nextBeginOffset: 6 })
  expect(bench.store.recordAt(0)).toBeUndefined()
  expect(bench.store.storeTimestampAt('orders', 0, 5)).toBe(-1)
  expect(bench.store.offsetByTime('orders', 0, 0, 'lower')).toBe(6)
  expect(await bench.find('k3')).toEqual([])
  expect((await bench.find('k13')).length).toBe(1)

  expect(bench.append({ text: 'next' }).queueOffset).toBe(10)
})

test.each([
  ['a clean stop', async (bench: StoreBench) => await bench.close()],
  ['a kill', async (bench: StoreBench) => bench.kill()],
  ['a power cut', async (bench: StoreBench) => bench.cutPower(() => 0.999)],
  [
    'a lost queue directory',
    async (bench: StoreBench) => {
      await bench.close()
      bench.files.remove('/store/consumequeue')
    },
  ],
])('after %s the trimmed log goes on', async (_, end) => {
  const bench = await expiring()
  await clean(bench)

  await end(bench)
  await bench.reopen()

  expect(bench.store.commitLog.minOffset).toBe(12_288)
  expect(bench.store.minOffset('orders', 0)).toBe(6)
  expect(await numbers(bench, 1)).toEqual([13, 15, 17, 19])
  expect(bench.append({ text: 'next' }).queueOffset).toBe(10)
})

test('queue and index files of messages that are gone are removed, the last ones stay', async () => {
  const bench = await expiring({ consumeQueueFileBytes: 20 * 3, index: { slotCount: 8, entryCountMax: 5 } })
  await bench.find('k0')
  const indexFiles = () => bench.files.list('/store/index').length
  expect(indexFiles()).toBe(5) // four entries each
  await bench.clock.advance(11_000)

  await clean(bench)

  const names = (queueId: number) =>
    bench.files.list(`/store/consumequeue/orders/${queueId}`).map(({ name }) => Number(name))
  expect(names(0)).toEqual([120, 180])
  expect(indexFiles()).toBe(2)
  await bench.close()
  await bench.reopen()
  expect(await numbers(bench, 0)).toEqual([12, 14, 16, 18])
  expect((await bench.find('k17')).length).toBe(1)
})

test('expired segments are removed at their hour', async () => {
  const settings = { ...shortLived }
  const bench = await expiring({ retention: () => settings })
  await bench.clock.advance(hourMs / 4)
  expect(segmentNames(bench)).toHaveLength(5)

  settings.deleteWhen = String(new Date(bench.clock.now()).getHours()).padStart(2, '0')
  await bench.clock.advance(10_000)

  expect(segmentNames(bench)).toHaveLength(2)
})

test('a volume above its ratio loses the oldest segments, expired or not, and takes messages again', async () => {
  const bench = await expiring()
  const { removeLater } = bench.files
  bench.files.space = { totalBytes: 1000, freeBytes: 50 }
  bench.files.removeLater = async (path) => {
    await removeLater.call(bench.files, path)
    bench.files.space.freeBytes += 30
  }
  await bench.clock.advance(60_000)

  expect(segmentNames(bench)).toEqual([16_384]) // the one that is written stays
  expect(bench.files.space.freeBytes).toBe(170)
  bench.append()
  await bench.clock.turn()
  expect(await numbers(bench, 0)).toEqual([16, 18, Number.NaN])
})

test('a file that cannot be removed is tried again before any other goes', async () => {
  const bench = await expiring()
  const { removeLater } = bench.files
  bench.files.removeLater = async (path) => {
    throw new OperatingError('FILE_FAILED', { path, code: 'EIO' })
  }
  await clean(bench)
  expect(segmentNames(bench)).toHaveLength(5)
  expect(bench.store.commitLog.minOffset).toBe(4096)
  await bench.clock.advance(60_000)
  expect(bench.store.commitLog.minOffset).toBe(4096)

  bench.files.removeLater = removeLater
  await clean(bench)
  expect(segmentNames(bench)).toEqual([12_288, 16_384])
})

test('a read under way ends well when its segment goes', async () => {
  const bench = await expiring({ segmentBytes: 4096 })
  await bench.close()
  const { open } = bench.files
  let letRead = () => {}
  const mayRead = new Promise<void>((resolve) => void (letRead = resolve))
  const closed: string[] = []
  bench.files.open = (path, mode) => {
    const file = open.call(bench.files, path, mode)
    return {
      ...file,
      async readLater(into, position) {
        await mayRead
        expect(closed).toEqual([])
        return file.read(into, position)
      },
      close() {
        closed.push(path)
        file.close()
      },
    }
  }
  const { Segments } = await import('./segments.ts')
  const segments = new Segments(bench.files, '/store/commitlog', 4096)

  const into = Buffer.alloc(100)
  const reading = segments.readLater(into, 0)
  await segments.removeFirst()
  expect(bench.files.exists('/store/commitlog/00000000000000000000')).toBe(false)
  letRead()

  expect(await reading).toBe(100)
  expect(into.readInt32BE(0)).toBeGreaterThan(0)
  expect(closed).toEqual(['/store/commitlog/00000000000000000000'])
})

test('queues whose messages are all gone can be removed; those of kept topics stay', async () => {
  const bench = await new StoreBench({ retention: () => shortLived }).open()
  for (const topic of ['old', 'kept', 'new']) {
    bench.append({ topic, text: 'x'.repeat(1500) })
    await bench.clock.turn()
  }
  await bench.clock.advance(2 * hourMs)
  for (let index = 0; index < 4; index++) bench.append({ topic: 'new', text: 'x'.repeat(1500) })
  await bench.clock.advance(11_000)
  await clean(bench)

  expect(bench.store.removeExpiredQueues((topic) => topic === 'kept')).toBe(1)

  expect([...bench.store.queues()].map(({ topic }) => topic)).toEqual(['kept', 'new'])
  expect(bench.files.exists('/store/consumequeue/old')).toBe(false)
  expect([bench.store.minOffset('kept', 0), bench.store.maxOffset('kept', 0)]).toEqual([1, 1])
  expect(bench.append({ topic: 'old' }).queueOffset).toBe(0)
  expect(bench.append({ topic: 'kept' }).queueOffset).toBe(1)
  await bench.clock.advance(11_000)
  bench.kill()
  await bench.reopen()
  expect(bench.warnings).toEqual([])
  expect(bench.store.maxOffset('old', 0)).toBe(1)
})

test('a batch is not split though its segment is followed by one made ahead of time', async () => {
  const bench = await new StoreBench({ segmentBytes: 1 << 20, maxMessageBytes: 1 << 18 }).open()
  for (let index = 0; index < 3; index++) bench.append({ text: 'x'.repeat(200_000) })
  await bench.clock.turn()
  expect(segmentNames(bench)).toEqual([0, 1 << 20]) // more than half full: the next one is there

  const batch = [message({ text: 'y'.repeat(250_000) }), message({ text: 'z'.repeat(250_000) })]
  expect(bench.store.appendBatch(batch, { settle: () => {} })[0]?.phyOffset).toBe(1 << 20)
  await bench.clock.turn()
  expect(segmentNames(bench)).toEqual([0, 1 << 20])
  await bench.close()
  await bench.reopen()
  expect(await bench.texts()).toHaveLength(5)
})

test('a segment that was made ahead of time goes with a clean stop, and harms no recovery', async () => {
  const bench = await new StoreBench({ segmentBytes: 1 << 20, maxMessageBytes: 1 << 18 }).open()
  for (let index = 0; index < 3; index++) bench.append({ text: 'x'.repeat(200_000) })
  await bench.clock.turn()

  bench.kill()
  await bench.reopen()
  expect(segmentNames(bench)).toEqual([0])
  bench.append({ text: 'more' })
  await bench.clock.turn()
  expect(segmentNames(bench)).toEqual([0, 1 << 20])
  await bench.close()

  expect(segmentNames(bench)).toEqual([0])
  await bench.reopen()
  expect(await bench.texts()).toHaveLength(4)
})
