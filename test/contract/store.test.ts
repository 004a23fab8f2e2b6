import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import type { Files } from '../../src/base/files.ts'
import { silentLog } from '../../src/base/log.ts'
import { nodeFiles } from '../../src/base/node/index.ts'
import { ManualClock } from '../../src/base/testing/clock.ts'
import { MemoryFiles } from '../../src/base/testing/files.ts'
import { decodeMessages } from '../../src/remoting/message/index.ts'
import { type MessageStore, openStore } from '../../src/runtime-broker/store/index.ts'
import { message, retention } from '../../src/runtime-broker/store/testing/bench.ts'

// The disk in memory stands for the real one in every other test of the store: here both do the same things.

const realRoot = mkdtempSync(join(tmpdir(), 'store-'))
afterAll(() => rmSync(realRoot, { recursive: true, force: true }))

const disks: [name: string, files: Files, root: string][] = [
  ['in memory', new MemoryFiles(), '/root'],
  ['real', nodeFiles, realRoot],
]

function open(files: Files, clock: ManualClock, rootDir: string, flush: 'SYNC' | 'ASYNC'): Promise<MessageStore> {
  const settings = {
    rootDir,
    commitLogDir: `${rootDir}/commitlog`,
    segmentBytes: 64 * 1024,
    consumeQueueFileBytes: 20 * 50,
    flush,
    maxMessageBytes: 4096,
    flushIntervalCommitLogMs: 500,
    flushIntervalConsumeQueueMs: 1000,
    syncFlushTimeoutMs: 5000,
    diskSpaceWarningLevelRatio: 1,
    checkCrcOnRecover: true,
    index: { slotCount: 5000, entryCountMax: 100 },
    retention: () => retention,
    delayLevelsMs: [],
    isCopy: false,
  }
  return openStore(settings, { files, clock, log: silentLog })
}

async function texts(store: MessageStore, queueId: number): Promise<string[]> {
  const all: string[] = []
  for (let offset = 0; offset < store.maxOffset('orders', queueId); ) {
    const read = await store.read('orders', queueId, offset, { countMax: 7, bytesMax: 65_536 })
    all.push(...decodeMessages(Buffer.concat(read.bodies)).map(({ body }) => body.toString()))
    offset = read.nextBeginOffset
  }
  return all
}

test.each(disks)(
  '%s disk: what is settled is there after a clean stop, in files of Apache lengths',
  async (_name, files, root) => {
    const rootDir = `${root}/clean`
    const clock = new ManualClock()
    const store = await open(files, clock, rootDir, 'SYNC')
    let settled = 0
    for (let index = 0; index < 200; index++) {
      store.append(message({ queueId: index % 2, text: `${index}`.padEnd(1000, '.') }), {
        settle: () => void settled++,
      })
    }
    await store.flush()
    expect(settled).toBe(200)
    await close(store, clock)

    expect(files.exists(`${rootDir}/abort`)).toBe(false)
    const sizes = (directory: string) =>
      files.list(directory).map(({ name, sizeBytes }) => `${Number(name)}:${sizeBytes}`)
    expect(sizes(`${rootDir}/commitlog`)).toEqual(['0:65536', '65536:65536', '131072:65536', '196608:65536'])
    expect(sizes(`${rootDir}/consumequeue/orders/1`)).toEqual(['0:1000', '1000:1000'])

    const again = await open(files, clock, rootDir, 'SYNC')
    expect((await texts(again, 1)).map(Number.parseFloat)).toEqual(
      Array.from({ length: 100 }, (_, index) => 2 * index + 1),
    )
    await expect(open(files, clock, rootDir, 'SYNC')).rejects.toThrow('STORE_LOCKED')
    again.deleteTopic('orders')
    expect(files.exists(`${rootDir}/consumequeue/orders`)).toBe(false)
    await close(again, clock)
  },
)

async function close(store: MessageStore, clock: ManualClock): Promise<void> {
  let isClosed = false
  const closed = store.close().finally(() => void (isClosed = true))
  for (const deadline = Date.now() + 5000; !isClosed && Date.now() < deadline; ) await clock.turn()
  await closed
}
