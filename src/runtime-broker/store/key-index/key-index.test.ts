import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { OperatingError } from '../../../base/errors.ts'
import type { MemoryFiles } from '../../../base/testing/files.ts'
import { readInt64 } from '../../../remoting/message/index.ts'
import { StoreBench } from '../testing/bench.ts'
import { indexFileBytes } from './index-file.ts'
import { keyHash, tagIndexType } from './keys.ts'
import { nextIndexName } from './names.ts'

const shape = { slotCount: 64, entryCountMax: 100 }
const properties = (pairs: Record<string, string>) =>
  Object.entries(pairs)
    .map(([name, value]) => `${name}\u0001${value}\u0002`)
    .join('')
const keyed = (keys: string, more: Record<string, string> = {}) => ({ properties: properties({ KEYS: keys, ...more }) })

/** One message for each key; its text is its key's. */
async function appendKeys(bench: StoreBench, first: number, count: number): Promise<void> {
  for (let number = first; number < first + count; number++) bench.append({ text: `${number}`, ...keyed(`k${number}`) })
  await bench.clock.turn()
}

async function expectKeys(bench: StoreBench, first: number, count: number): Promise<void> {
  for (let number = first; number < first + count; number++)
    expect(await bench.find(`k${number}`)).toContain(`${number}`)
}

const indexFiles = (bench: StoreBench) => bench.files.list('/store/index').map(({ name }) => `/store/index/${name}`)

test('a message is found by its keys, its unique key and its tag', async () => {
  const bench = await new StoreBench().open()
  bench.append({ text: 'paid', ...keyed('order-7 customer-3', { UNIQ_KEY: 'AB01', TAGS: 'red' }) })
  bench.append({ text: 'sent', ...keyed('order-7') })
  bench.append({ text: 'other', topic: 'bills', ...keyed('order-7') })
  await bench.clock.turn()

  expect(await bench.find('order-7')).toEqual(['paid', 'sent'])
  expect(await bench.find('customer-3')).toEqual(['paid'])
  expect(await bench.find('AB01')).toEqual(['paid'])
  expect(await bench.find('red', { indexType: tagIndexType })).toEqual(['paid'])
  expect(await bench.find('red')).toEqual([])
  expect(await bench.find('order-7', { topic: 'bills' })).toEqual(['other'])
  expect(await bench.find('order-8')).toEqual([])
})

test('a query takes the newest, and only of its time', async () => {
  const bench = await new StoreBench().open()
  const start = bench.clock.now()
  for (let number = 0; number < 6; number++) {
    bench.append({ text: `${number}`, ...keyed('k') })
    await bench.clock.advance(10_000)
  }

  expect(await bench.find('k', { countMax: 2 })).toEqual(['4', '5'])
  expect(await bench.find('k', { beginTimestamp: start + 20_000, endTimestamp: start + 40_000 })).toEqual([
    '2',
    '3',
    '4',
  ])
  expect(await bench.find('k', { beginTimestamp: start + 60_000 })).toEqual([])
})

test('prepared messages are indexed, rolled back ones are not', async () => {
  const bench = await new StoreBench().open()
  bench.append({ text: 'half', sysFlag: 0x4, ...keyed('k') })
  bench.append({ text: 'gone', sysFlag: 0xc, ...keyed('k') })
  await bench.clock.turn()

  expect(await bench.find('k')).toEqual(['half'])
})

test('a file has the format of Apache', async () => {
  const bench = await new StoreBench().open()
  const first = bench.append({ ...keyed('a') })
  await bench.clock.advance(3000)
  const second = bench.append({ ...keyed('a b') })
  await bench.clock.turn()
  await bench.close()

  const [path = ''] = indexFiles(bench)
  expect(path).toBe(`/store/index/${nextIndexName(first.storeTimestamp + 50, undefined)}`)
  const file = bench.files.open(path, 'existing')
  const bytes = Buffer.alloc(indexFileBytes(shape))
  expect(file.sizeBytes()).toBe(40 + 64 * 4 + 100 * 20)
  file.read(bytes, 0)
  const int64s = [0, 8, 16, 24].map((at) => readInt64(bytes, at))
  expect(int64s).toEqual([first.storeTimestamp, second.storeTimestamp, first.phyOffset, second.phyOffset])
  expect([bytes.readInt32BE(32), bytes.readInt32BE(36)]).toEqual([2, 4]) // slots used; next entry, counted from 1
  const slotOf = (key: string) => bytes.readInt32BE(40 + 4 * (keyHash('orders', key) % 64))
  expect([slotOf('a'), slotOf('b')]).toEqual([2, 3])
  const entry = (number: number) => {
    const at = 40 + 64 * 4 + number * 20
    return [bytes.readInt32BE(at), readInt64(bytes, at + 4), bytes.readInt32BE(at + 12), bytes.readInt32BE(at + 16)]
  }
  expect(entry(0)).toEqual([0, 0, 0, 0])
  expect(entry(1)).toEqual([keyHash('orders', 'a'), first.phyOffset, 0, 0])
  expect(entry(2)).toEqual([keyHash('orders', 'a'), second.phyOffset, 3, 1])
  expect(entry(3)).toEqual([keyHash('orders', 'b'), second.phyOffset, 3, 0])
})

test('keys that were told with the message make the same files as those that are read from the log', async () => {
  const word = fc.constantFrom('a', 'order-7', 'red', 'zoë')
  const sent = fc.record({
    uniqKey: fc.stringMatching(/^[0-9A-F]{8}$/),
    keys: fc.option(fc.constantFrom('a', 'order-7 customer-3', ' a  b '), { nil: undefined }),
    tag: fc.option(fc.constantFrom('red', ''), { nil: undefined }),
    other: word,
    isTold: fc.boolean(),
    bodyBytes: fc.oneof(fc.nat(40), fc.integer({ min: 1500, max: 2000 })),
    endsTurn: fc.boolean(),
    passes: fc.constantFrom(0, 0, 10, 60),
  })
  type Sent = typeof sent extends fc.Arbitrary<infer T> ? T : never
  const filesOf = async (list: Sent[], isTold: (told: boolean) => boolean) => {
    const bench = await new StoreBench().open()
    for (const { uniqKey, keys, tag, other, bodyBytes, endsTurn, passes, ...each } of list) {
      const texts = {
        other,
        UNIQ_KEY: uniqKey,
        ...(keys !== undefined && { KEYS: keys }),
        ...(tag !== undefined && { TAGS: tag }),
      }
      const told = isTold(each.isTold) ? { keys: { uniqKey, keys, tag } } : {}
      bench.append({ text: 'x'.repeat(bodyBytes), properties: properties(texts), ...told })
      if (endsTurn) await bench.clock.turn()
      if (passes > 0) await bench.clock.advance(passes)
    }
    await bench.clock.turn()
    await bench.close()
    return indexFiles(bench).map((path) => {
      const file = bench.files.open(path, 'existing')
      const bytes = Buffer.alloc(file.sizeBytes())
      file.read(bytes, 0)
      return bytes.toString('hex')
    })
  }
  await fc.assert(
    fc.asyncProperty(fc.array(sent, { minLength: 1, maxLength: 60 }), async (list) => {
      const fromLog = await filesOf(list, () => false)
      expect(await filesOf(list, (told) => told)).toEqual(fromLog)
      expect(await filesOf(list, () => true)).toEqual(fromLog)
    }),
    { numRuns: 60 },
  )
})

test('messages whose keys were not told, here and there between others, are not read one by one', async () => {
  const bench = await new StoreBench({ segmentBytes: 64 * 1024 }).open()
  let reads = 0
  bench.files.isDamaged = (path) => {
    if (path.includes('/commitlog/')) reads++
    return false
  }
  for (let number = 0; number < 40; number++) {
    const told = number % 2 === 0 ? {} : { keys: { uniqKey: '', keys: `k${number}`, tag: undefined } }
    bench.append({ text: `${number}`, ...keyed(`k${number}`), ...told })
  }
  await bench.clock.turn()
  reads = 0

  await bench.clock.advance(100)

  expect(reads).toBeLessThanOrEqual(2)
  bench.files.isDamaged = () => false
  await expectKeys(bench, 0, 40)
})

test('full files are followed by new ones, and the checkpoint says which are whole', async () => {
  const bench = await new StoreBench().open()
  await appendKeys(bench, 0, 150)
  await bench.clock.advance(1000)
  await appendKeys(bench, 150, 100)
  await bench.clock.advance(11_000)

  expect(indexFiles(bench).length).toBe(3) // 99 entries each
  expect(await bench.find('k3', { countMax: 1 })).toEqual(['3'])
  await expectKeys(bench, 0, 250)
  const checkpoint = Buffer.alloc(24)
  bench.files.open('/store/checkpoint', 'existing').read(checkpoint, 0)
  const second = Buffer.alloc(16)
  bench.files.open(indexFiles(bench)[1]!, 'existing').read(second, 0)
  expect(readInt64(checkpoint, 16)).toBe(readInt64(second, 8))
})

test.each([
  ['a clean stop', async (bench: StoreBench) => await bench.close()],
  ['a kill', async (bench: StoreBench) => bench.kill()],
  ['a power cut', async (bench: StoreBench) => bench.cutPower(() => 0.999)], // nothing that was not synced stays
])('after %s every key is found, and none is indexed twice', async (_, end) => {
  const bench = await new StoreBench({ flush: 'SYNC' }).open()
  await appendKeys(bench, 0, 120)
  await bench.clock.advance(11_000) // a checkpoint
  await appendKeys(bench, 120, 130)
  await bench.clock.advance(100)

  await end(bench)
  await bench.reopen()
  await appendKeys(bench, 250, 10)

  for (let number = 0; number < 260; number++) {
    expect((await bench.find(`k${number}`, { countMax: 1000 })).filter((text) => text === `${number}`)).toHaveLength(1)
  }
  await bench.close()
  const entries = indexFiles(bench).map((path) => {
    const header = Buffer.alloc(40)
    bench.files.open(path, 'existing').read(header, 0)
    return header.readInt32BE(36) - 1
  })
  expect(entries).toEqual([99, 99, 62])
})

test.each<[string, (files: MemoryFiles, paths: string[]) => void]>([
  ['the directory is missing', (files) => files.remove('/store/index')],
  ['the first file is missing', (files, paths) => files.remove(paths[0]!)],
  ['the last file is missing', (files, paths) => files.remove(paths.at(-1)!)],
  ['a file is short', (files, paths) => files.open(paths[1]!, 'existing').truncate(100)],
  ['a file is long', (files, paths) => files.open(paths[0]!, 'existing').truncate(100_000)],
  ['a header is garbage', (files, paths) => files.open(paths[0]!, 'existing').write(Buffer.alloc(40, 0xff), 0)],
  ['an entry is wrong', (files, paths) => files.open(paths.at(-1)!, 'existing').write(Buffer.alloc(2000, 1), 40 + 256)],
  ['a stray file lies there', (files) => files.open('/store/index/notes.txt', 'create')],
])('when %s, the index is made again from the log', async (_, harm) => {
  const bench = await new StoreBench().open()
  await appendKeys(bench, 0, 250)
  await bench.close()

  harm(bench.files, indexFiles(bench))
  await bench.reopen()

  await expectKeys(bench, 0, 250)
  expect(bench.store.commitLog.minOffset).toBe(0)
})

test('after a crash of another broker only finished files are believed', async () => {
  const bench = await new StoreBench().open()
  await appendKeys(bench, 0, 250)
  await bench.close()
  const checkpoint = bench.files.open('/store/checkpoint', 'existing')
  const times = Buffer.alloc(16)
  checkpoint.read(times, 0)
  times[15]! ^= 1 // somebody else wrote it, who knows nothing of our part
  checkpoint.write(times, 0)
  bench.files.writeText('/store/abort', '')
  bench.files.open(indexFiles(bench).at(-1)!, 'existing').write(Buffer.alloc(256), 40) // its slots never came to the disk

  await bench.reopen()

  await expectKeys(bench, 0, 250)
})

test('a message that is longer than what is read at once is found', async () => {
  const bench = await new StoreBench({ segmentBytes: 1 << 21, maxMessageBytes: 1 << 20 }).open()
  bench.append({ text: 'x'.repeat(300_000), ...keyed('large') })
  bench.append({ text: 'y'.repeat(900_000), topic: 'long'.repeat(50), ...keyed('long') })
  bench.append({ text: 'small', ...keyed('small') })
  await bench.clock.turn()

  expect((await bench.find('large')).map((text) => text.length)).toEqual([300_000])
  expect((await bench.find('long', { topic: 'long'.repeat(50) })).map((text) => text.length)).toEqual([900_000])
  expect(await bench.find('small')).toEqual(['small'])
})

test('an index that cannot be written stops no message, and catches up', async () => {
  const bench = await new StoreBench().open()
  await appendKeys(bench, 0, 10)
  await expectKeys(bench, 0, 10)
  const { open } = bench.files
  bench.files.open = (path, mode) => {
    if (path.startsWith('/store/index/')) throw new OperatingError('FILE_FAILED', { path, code: 'ENOSPC' })
    return open.call(bench.files, path, mode)
  }

  await appendKeys(bench, 10, 300) // fills the first file
  await bench.clock.advance(2000)
  expect(await bench.texts()).toHaveLength(310)
  expect(await bench.find('k300')).toEqual([])
  expect(bench.warnings).toEqual(['the index cannot be written: trying again'])

  bench.files.open = open
  await bench.clock.advance(2000)
  await expectKeys(bench, 0, 310)
})

test('names follow each other though the clock goes back', () => {
  const now = new Date(2026, 10, 5, 3, 4, 5, 6).getTime()

  expect(nextIndexName(now, undefined)).toBe('20261105030405006')
  expect(nextIndexName(now, '20261105030405005')).toBe('20261105030405006')
  expect(nextIndexName(now, '20261105030405006')).toBe('20261105030405007')
  expect(nextIndexName(now, '20271105030405006')).toBe('20271105030405007')
})
