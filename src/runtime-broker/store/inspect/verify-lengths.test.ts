import { expect, test } from '@jest/globals'
import { StoreBench } from '../testing/bench.ts'
import { filled, indexFiles, queueFile, segment, truncate, verify } from '../testing/verify.ts'

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
