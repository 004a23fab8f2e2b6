import { expect, test } from '@jest/globals'
import { MemoryFiles } from '../../base/testing/files.ts'
import { Segments } from './segments.ts'
import { StoreBench } from './testing/bench.ts'

const segment = '/store/commitlog/00000000000000000000'
const nothingUnsynced = () => 0.999 // of what was not synced, a power cut leaves nothing
/** More than two pages of the system's: what comes next writes the last one again. */
const large = { segmentBytes: 65_536, maxMessageBytes: 16_384 }
const pages = [`doubtful ${'.'.repeat(10_000)}`]

test('after an fsync that failed the next process writes again what the system took for written', async () => {
  const bench = await new StoreBench({ flush: 'SYNC', ...large }).open()
  await bench.appendAll(['before'])
  bench.files.syncFailure = 'EIO'
  const [doubtful] = await bench.appendAll(pages)
  expect(doubtful!.status).toBe('failed')
  expect(() => bench.append()).toThrow('STORE_CLOSED')
  expect(await bench.texts()).toEqual(['before']) // reads go on

  bench.files.syncFailure = undefined
  bench.kill()
  await bench.reopen()
  const [after] = await bench.appendAll(['after'])
  expect(after!.status).toBe('ok')
  bench.cutPower(nothingUnsynced)
  await bench.reopen()

  expect(await bench.texts()).toContain('after')
})

test('where what an fsync failed for cannot be written again, the next process does not start', async () => {
  const bench = await new StoreBench({ flush: 'SYNC' }).open()
  await bench.appendAll(['before'])
  bench.files.syncFailure = 'EIO'
  await bench.appendAll(['doubtful'])
  bench.kill()

  await expect(bench.reopen()).rejects.toMatchObject({ code: 'FILE_FAILED', facts: { code: 'EIO', path: segment } })
  bench.files.syncFailure = undefined
  await bench.reopen()
  expect(await bench.texts()).toEqual(['before', 'doubtful'])
})

test('what a start could not flush, the next one writes again', async () => {
  const bench = await new StoreBench(large).open()
  await bench.appendAll(['before', ...pages])
  bench.kill()
  bench.files.syncFailure = 'EIO'
  await expect(bench.reopen()).rejects.toMatchObject({ code: 'FILE_FAILED', facts: { operation: 'fdatasync' } })

  bench.files.syncFailure = undefined
  await bench.reopen()
  bench.cutPower(nothingUnsynced)
  await bench.reopen()

  expect(await bench.texts()).toEqual(['before', ...pages])
})

test('a clean stop after an fsync that failed is none', async () => {
  const bench = await new StoreBench(large).open()
  await bench.appendAll(['before'])
  bench.files.syncFailure = 'EIO'
  const [sent] = await bench.appendAll(pages)
  expect(sent!.status).toBe('ok') // ASYNC_FLUSH promises no more
  await bench.clock.advance(600)
  bench.files.syncFailure = undefined
  await bench.close()
  await bench.reopen()
  expect(await bench.texts()).toEqual(['before', ...pages])
  const [after] = await bench.appendAll(['after'])
  await bench.clock.advance(600)
  expect(after!.status).toBe('ok')
  bench.cutPower(nothingUnsynced)
  await bench.reopen()

  expect(await bench.texts()).toEqual(['before', ...pages, 'after'])
})

test.each([
  ['a consume queue', '/store/consumequeue/'],
  ['the index', '/store/index/'],
])('an fsync of %s that fails ends writing too, and no checkpoint believes the file', async (_, directory) => {
  const bench = await new StoreBench({ consumeQueueFileBytes: 20 * 1000 }).open()
  const texts = Array.from({ length: 250 }, (_, index) => `${index}`)
  const all = () => texts.map((text) => ({ text, properties: `KEYS\u0001key${text}\u0002` }))
  const { open } = bench.files
  bench.files.open = (path, mode) => {
    const file = open.call(bench.files, path, mode)
    if (!path.startsWith(directory)) return file
    const { sync } = file
    return {
      ...file,
      sync() {
        bench.files.syncFailure = 'EIO'
        return sync().finally(() => {
          bench.files.syncFailure = undefined
        })
      },
    }
  }
  for (const fields of all().slice(0, 90)) bench.append(fields)
  await bench.clock.advance(25_000)
  expect(() => bench.append()).toThrow('STORE_CLOSED')
  expect(bench.store.failure?.message).toContain(directory)

  bench.files.open = open
  bench.kill()
  await bench.reopen()
  for (const fields of all().slice(90)) bench.append(fields)
  await bench.clock.advance(25_000)
  bench.cutPower(nothingUnsynced)
  await bench.reopen()

  expect(await bench.texts()).toEqual(texts)
  expect(await bench.find('key7')).toEqual(['7'])
})

test('a segment that could not be synced when it was made is made anew', async () => {
  const bench = await new StoreBench({ flush: 'SYNC' }).open()
  bench.files.syncFailure = 'EIO'
  const [lost] = await bench.appendAll(['lost'])
  expect(lost!.status).toBe('failed')
  expect(bench.files.exists(segment)).toBe(false)

  bench.files.syncFailure = undefined
  await bench.clock.advance(1001)
  const [after] = await bench.appendAll(['after'])
  expect(after).toMatchObject({ queueOffset: 0, status: 'ok' })
  bench.cutPower(nothingUnsynced)
  await bench.reopen()
  expect(await bench.texts()).toEqual(['after'])
})

test('a segment that a write could not make is not taken from who makes it ahead of time', async () => {
  const synced = Promise.withResolvers<void>()
  const files = new MemoryFiles({ beforeSync: () => synced.promise })
  const segments = new Segments(files, '/log', 4096)
  segments.fileForWriting(0)
  const preparing = segments.prepareNext()
  files.syncFailure = 'EIO'
  expect(() => segments.fileForWriting(4096)).toThrow('EIO')

  files.syncFailure = undefined
  synced.resolve()
  await preparing

  expect(segments.endOffset).toBe(4096) // what is written there would be in a file without a name
  segments.fileForWriting(4096)
  expect(files.exists('/log/00000000000000004096')).toBe(true)
})

test('a stop that cannot erase what a failed write left is no clean one', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(['before'])
  bench.files.writeFailure = 'EIO'
  await bench.appendAll([`lost ${'.'.repeat(1000)}`])
  await bench.close()
  bench.files.writeFailure = undefined
  expect(bench.files.exists('/store/abort')).toBe(true)

  await bench.reopen()
  expect(await bench.texts()).toEqual(['before'])
})

test('of a queue with a damaged sector everything before and behind it can be read', async () => {
  const bench = await new StoreBench().open()
  const sent = await bench.appendAll(['0', '1', '2', '3', '4'])
  const { phyOffset } = sent[2]!
  bench.files.isDamaged = (path, position, bytes) =>
    path === segment && position <= phyOffset && phyOffset < position + bytes
  const read = (queueOffset: number) => bench.store.read('orders', 0, queueOffset, { countMax: 32, bytesMax: 65_536 })

  expect(await read(0)).toMatchObject({ status: 'found', count: 2, nextBeginOffset: 2 })
  expect(() => read(2)).toThrow('EIO')
  expect(await read(3)).toMatchObject({ status: 'found', count: 2, nextBeginOffset: 5 })
  expect(bench.append({ text: '5' }).queueOffset).toBe(5) // and messages are taken
})

test('after an fsync that failed nothing counts as flushed, whatever is written still', async () => {
  const syncs: (() => void)[] = []
  const files = new MemoryFiles({ beforeSync: () => new Promise((resolve) => void syncs.push(resolve)) })
  const bench = await new StoreBench({ flush: 'SYNC' }, files).open()
  bench.append({ text: 'synced' })
  await bench.clock.turn()
  const onItsWay = bench.append({ text: 'on its way' })
  files.syncFailure = 'EIO'
  syncs.shift()!()
  for (let count = 0; count < 10; count++) await Promise.resolve()
  files.syncFailure = undefined
  await bench.clock.turn()
  for (const finish of syncs) finish()
  await bench.clock.turn()

  expect(onItsWay.status).toBe('failed')
  expect(bench.store.commitLog.flushedOffset).toBe(0)
  expect(await bench.texts()).toEqual([])
})

test.each(['the segment', 'a segment with the next one behind it'])(
  'who died while it erased what a failed write left finds %s again',
  async (which) => {
    const segmentBytes = 1024 * 1024 // the next one is made when half of it is full
    const bench = await new StoreBench({ segmentBytes, maxMessageBytes: 600_000 }).open()
    const texts = which === 'the segment' ? ['before'] : ['before'.padEnd(550_000, '.')]
    await bench.appendAll(texts)
    await bench.clock.advance(1000)
    bench.files.writeFailure = 'ENOSPC'
    await bench.appendAll(['lost'])
    bench.files.writeFailure = undefined
    bench.kill()
    bench.files.open(segment, 'existing').truncate(bench.store.commitLog.maxOffset)

    await bench.reopen()
    expect(await bench.texts()).toEqual(texts)
    expect(bench.append().queueOffset).toBe(1)
  },
)

test('a segment of another length than the setting says is left alone: the setting may be wrong', async () => {
  const bench = await new StoreBench().open()
  await bench.appendAll(Array.from({ length: 8 }, () => 'x'.repeat(900)))
  bench.kill()

  const wrong = new StoreBench({ segmentBytes: 8192 }, bench.files)
  await expect(wrong.open()).rejects.toThrow('STORE_CORRUPT')

  bench.kill()
  await bench.reopen()
  expect(await bench.texts()).toHaveLength(8)
})
