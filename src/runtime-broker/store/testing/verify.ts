import type { Files } from '../../../base/files.ts'
import { type VerifyOptions, type VerifyReport, verifyStore } from '../inspect/verify.ts'
import { StoreBench } from './bench.ts'

export const segment = (start: number) => `/store/commitlog/${String(start).padStart(20, '0')}`
export const queueIdAt = 12 // in a record
export const queueOffsetAt = 20
export const storeTimestampAt = 56
export const topicAt = 93 // behind a body of 4 bytes
export const queueFile = '/store/consumequeue/orders/0/00000000000000000000'

/** A disk that cannot be changed, as a mounted snapshot. */
export function readOnly(files: Files): Files {
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

export async function verify(bench: StoreBench, sizes: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
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
export async function filled(): Promise<StoreBench> {
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

export function overwrite(bench: StoreBench, path: string, position: number, bytes: Buffer): void {
  const file = bench.files.open(path, 'existing')
  file.write(bytes, position)
  file.close()
}

export function truncate(bench: StoreBench, path: string, sizeBytes: number): void {
  const file = bench.files.open(path, 'existing')
  file.truncate(sizeBytes)
  file.close()
}

export function indexFiles(bench: StoreBench): string[] {
  return bench.files.list('/store/index').map(({ name }) => `/store/index/${name}`)
}

export function int64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

/** Where a message of orders/0 lies. */
export function phyOffsetOf(bench: StoreBench, queueOffset: number): number {
  const unit = Buffer.alloc(20)
  const perFile = 16
  const start = String((queueOffset - (queueOffset % perFile)) * 20).padStart(20, '0')
  const file = bench.files.open(`/store/consumequeue/orders/0/${start}`, 'reading')
  file.read(unit, (queueOffset % perFile) * 20)
  file.close()
  return Number(unit.readBigInt64BE(0))
}

export function overwriteLog(bench: StoreBench, phyOffset: number, bytes: Buffer): void {
  const position = phyOffset % 4096
  overwrite(bench, segment(phyOffset - position), position, bytes)
}

export function lastStart(bench: StoreBench): number {
  return Math.max(...bench.files.list('/store/commitlog').map(({ name }) => Number(name)))
}
