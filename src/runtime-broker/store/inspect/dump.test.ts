import { expect, test } from '@jest/globals'
import { StoreBench } from '../testing/bench.ts'
import { type DumpFilter, dumpStore } from './dump.ts'
import type { Finding } from './findings.ts'

const place = { rootDir: '/store', commitLogDir: '/store/commitlog', segmentBytes: undefined }
const everything: DumpFilter = {
  topic: undefined,
  queueId: undefined,
  fromPhyOffset: undefined,
  fromQueueOffset: undefined,
  countMax: Number.POSITIVE_INFINITY,
  key: undefined,
}

async function dump(
  bench: StoreBench,
  filter: Partial<DumpFilter> = {},
  withBodies = false,
  onLayout: (finding: Finding) => void = () => {},
) {
  const lines: Record<string, unknown>[] = []
  await dumpStore(
    {
      ...place,
      filter: { ...everything, ...filter },
      withBodies,
      onLine: (line) => lines.push(JSON.parse(line)) > 0,
      onProgress: () => {},
      onLayout,
    },
    { files: bench.files, clock: bench.clock },
  )
  return lines
}

async function filled(): Promise<StoreBench> {
  const bench = await new StoreBench().open()
  for (let index = 0; index < 40; index++) {
    await bench.appendAll([`order ${index}`], {
      queueId: index % 2,
      properties: `KEYS\u0001k${index} all\u0002UNIQ_KEY\u0001id${index}\u0002`,
    })
  }
  await bench.appendAll(['long'], { topic: 'x'.repeat(200), sysFlag: 0x8, preparedTransactionOffset: 5 })
  return bench
}

test('a record is told with all it says but its body', async () => {
  const bench = await filled()

  const [first, ...others] = await dump(bench)

  expect(others).toHaveLength(40)
  expect(first).toEqual({
    topic: 'orders',
    queueId: 0,
    flag: 0,
    queueOffset: 0,
    phyOffset: 0,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    storeTimestamp: bench.clock.now(),
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    size: expect.any(Number),
    magic: 'V1',
    bornHost: '10.0.0.1:10911',
    storeHost: '10.0.0.1:10911',
    bodyBytes: 7,
    bodyCrc: expect.any(Number),
    properties: { KEYS: 'k0 all', UNIQ_KEY: 'id0' },
  })
  expect(others.at(-1)).toMatchObject({ magic: 'V2', transaction: 'committed', preparedTransactionOffset: 5 })
})

test('bodies are told when they are asked for', async () => {
  const [first] = await dump(await filled(), { countMax: 1 }, true)

  expect(Buffer.from(String(first!.body), 'base64').toString()).toBe('order 0')
})

const numbersFrom = (first: number, step: number) =>
  Array.from({ length: Math.ceil((40 - first) / step) }, (_, index) => first + index * step)

test.each<[string, Partial<DumpFilter>, number[]]>([
  ['a topic', { topic: 'orders' }, numbersFrom(0, 1)],
  ['a topic that is the beginning of another', { topic: 'order' }, []],
  ['a queue', { topic: 'orders', queueId: 1 }, numbersFrom(1, 2)],
  ['a queue from a message on', { topic: 'orders', queueId: 1, fromQueueOffset: 15 }, [31, 33, 35, 37, 39]],
  ['a number of messages', { topic: 'orders', countMax: 3 }, [0, 1, 2]],
  ['a word of KEYS', { key: 'k17' }, [17]],
  ['a UNIQ_KEY', { key: 'id18' }, [18]],
  ['a key that is a part of others', { key: 'k' }, []],
])('a filter: %s', async (_what, filter, expected) => {
  const lines = await dump(await filled(), filter)

  expect(lines.map(({ properties }) => Number((properties as { UNIQ_KEY: string }).UNIQ_KEY.slice(2)))).toEqual(
    expected,
  )
})

test('from a byte on, which need not be the first of a record', async () => {
  const bench = await filled()
  const all = (await dump(bench)).map(({ phyOffset }) => Number(phyOffset))

  expect((await dump(bench, { fromPhyOffset: all[35]! })).map(({ phyOffset }) => phyOffset)).toEqual(all.slice(35))
  expect((await dump(bench, { fromPhyOffset: all[35]! + 1 })).map(({ phyOffset }) => phyOffset)).toEqual(all.slice(36))
  await expect(dump(bench, { fromPhyOffset: 1_000_000 })).rejects.toMatchObject({ code: 'SETTING_INVALID' })
})

test('no more is read than the reader of the lines has room for', async () => {
  const bench = await filled()
  let makeRoom = () => {}
  let lines = 0
  const dumped = dumpStore(
    {
      ...place,
      filter: everything,
      withBodies: false,
      onLine: () => ++lines > 0,
      onProgress: (done) => (done === 0 ? undefined : new Promise((resolve) => (makeRoom = resolve))),
      onLayout: () => {},
    },
    { files: bench.files, clock: bench.clock },
  )

  await new Promise((resolve) => setImmediate(resolve))
  const linesBefore = lines
  makeRoom()
  await dumped

  expect(linesBefore).toBeGreaterThan(0)
  expect(linesBefore).toBeLessThan(41)
  expect(lines).toBe(41)
})

test('a record that a broker is writing is no damage', async () => {
  const bench = await filled()
  const end = bench.store.commitLog.maxOffset
  await bench.appendAll(['half'])
  const file = bench.files.open('/store/commitlog/00000000000000004096', 'existing')
  const magic = Buffer.alloc(4)
  file.read(magic, end - 4096 + 4)
  file.write(Buffer.alloc(4), end - 4096 + 4)

  const dumped = dump(bench)
  await new Promise((resolve) => setImmediate(resolve)) // it has come so far
  file.write(magic, end - 4096 + 4)
  await bench.clock.advance(1000)

  const lines = await dumped
  expect(lines).toHaveLength(42)
  expect(lines.at(-1)).toMatchObject({ phyOffset: end, bodyBytes: 4 })
})

test('damaged places and damaged bodies are told too', async () => {
  const bench = await filled()
  const all = (await dump(bench)).map(({ phyOffset }) => Number(phyOffset))
  const file = bench.files.open('/store/commitlog/00000000000000000000', 'existing')
  file.write(Buffer.alloc(4), all[2]! + 4)
  file.write(Buffer.from('X'), all[5]! + 88)

  await bench.close()
  const lines = await dump(bench)

  expect(lines[2]).toEqual({
    phyOffset: all[2],
    damagedBytes: all[3]! - all[2]!,
    why: 'magic 00000000 is that of no record',
  })
  expect(lines.filter(({ isBodyDamaged }) => isBodyDamaged).map(({ phyOffset }) => phyOffset)).toEqual([all[5]])
})

test('what is wrong with the files of the log is told beside the records', async () => {
  const bench = await filled()
  const told: Finding[] = []
  const second = bench.files.open('/store/commitlog/00000000000000004096', 'existing')
  second.truncate(4000)

  const lines = await dump(bench, {}, false, (finding) => told.push(finding))

  expect(lines).toHaveLength(41)
  expect(told).toMatchObject([{ path: second.path, what: 'is 4000 bytes long, not 4096' }])
})
