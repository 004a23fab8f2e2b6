import { expect, test } from '@jest/globals'
import { Chance } from '../../../base/testing/chance.ts'
import { MemoryFiles } from '../../../base/testing/files.ts'
import { decodeMessages, isBodyIntact, layoutOf, readInt64, recordAt } from '../../../remoting/message/index.ts'
import { StoreBench } from '../testing/bench.ts'
import { reportLines } from './report.ts'
import { verifyStore } from './verify.ts'

const segmentBytes = 4096
const queueFileBytes = 320
const queues = [
  ['orders', 0],
  ['bills', 0],
  ['bills', 1],
] as const
/** What no checksum covers, and lengths: totalSize, magic, bodyCrc, queueId, queueOffset, phyOffset, sysFlag, storeTimestamp, body. */
const fieldsAt = [0, 4, 8, 12, 20, 28, 36, 56, 84, 88]

interface Kind {
  isStopped: boolean
  hasCheckpoint: boolean
}

async function fill({ isStopped, hasCheckpoint }: Kind): Promise<MemoryFiles> {
  const bench = await new StoreBench().open()
  for (let index = 0; index < 60; index++) {
    const properties = `KEYS\u0001k${index}\u0002TAGS\u0001TagA\u0002UNIQ_KEY\u0001id${index}\u0002`
    await bench.appendAll([`message ${index}`], { properties, tagsCode: 2_598_919 })
    if (index % 3 === 0) await bench.appendAll([`bill ${index}`], { topic: 'bills', queueId: index % 2 })
    if (index === 45) await bench.clock.advance(11_000)
  }
  if (isStopped) await bench.close()
  else bench.kill()
  if (!hasCheckpoint) bench.files.remove('/store/checkpoint')
  return bench.files
}

function pathsOf(files: MemoryFiles, directory = '/store'): string[] {
  return files.list(directory).flatMap(({ name, isDirectory }) => {
    const path = `${directory}/${name}`
    return isDirectory ? pathsOf(files, path) : [path]
  })
}

function readAll(files: MemoryFiles, path: string): Buffer {
  const file = files.open(path, 'reading')
  const bytes = Buffer.alloc(file.sizeBytes())
  file.read(bytes, 0)
  file.close()
  return bytes
}

function copyOf(files: MemoryFiles): MemoryFiles {
  const copy = new MemoryFiles()
  for (const path of pathsOf(files)) {
    copy.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    const file = copy.open(path, 'create')
    file.write(readAll(files, path), 0)
    file.syncNow()
    file.close()
  }
  return copy
}

/** Flips a bit, of a record's field as a rule; or cuts, removes or overwrites. */
function damage(files: MemoryFiles, chance: () => number): void {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(chance() * all.length)]!
  const fate = chance()
  const path = pick(pathsOf(files).filter((each) => fate > 0.5 || each.includes('commitlog')))
  const bytes = readAll(files, path)
  if (fate > 0.9) {
    files.remove(path)
    return
  }
  const file = files.open(path, 'existing')
  if (fate > 0.8) file.truncate(Math.floor(chance() * bytes.length))
  else if (bytes.length > 0) {
    const at = fate > 0.5 ? Math.floor(chance() * bytes.length) : pick(recordsOf(bytes)) + pick(fieldsAt)
    const length = fate > 0.7 ? Math.min(200, bytes.length - at) : 1
    file.write(Buffer.alloc(length, fate > 0.7 ? 7 : bytes[at]! ^ (1 << Math.floor(chance() * 8))), at)
  }
  file.close()
}

function recordsOf(segment: Buffer): number[] {
  const all = [0]
  for (let at = 0; at + 8 < segment.length; ) {
    const layout = layoutOf(segment, at)
    if (layout === undefined) break
    all.push(at)
    at += layout.size
  }
  return all
}

/** Messages that units name and that are whole, in the files as they are. */
function readableIn(files: MemoryFiles): Set<string> {
  const all = new Set<string>()
  for (const path of pathsOf(files)) {
    const [, queue] = /consumequeue\/(\w+\/\d+)\/\d{20}$/.exec(path) ?? []
    const units = readAll(files, path)
    if (queue === undefined || units.length !== queueFileBytes) continue
    for (let at = 0; at < units.length; at += 20) {
      const phyOffset = readInt64(units, at)
      const size = units.readInt32BE(at + 8)
      if (size <= 0 || size > segmentBytes || phyOffset < 0) break
      const start = String(phyOffset - (phyOffset % segmentBytes)).padStart(20, '0')
      const segment = `/store/commitlog/${start}`
      if (!files.exists(segment)) continue
      const record = readAll(files, segment).subarray(phyOffset % segmentBytes, (phyOffset % segmentBytes) + size)
      const layout = layoutOf(record, 0)
      if (
        layout?.size !== size ||
        !isBodyIntact(record, 0, layout) ||
        readInt64(record, recordAt.phyOffset) !== phyOffset
      ) {
        continue
      }
      all.add(`${queue} ${decodeMessages(record)[0]!.body}`)
    }
  }
  return all
}

/** Starts a broker's store and reads all queues. */
async function start(files: MemoryFiles): Promise<{ refusal?: string; endOffset?: number; readable: Set<string> }> {
  const bench = new StoreBench({}, files)
  const readable = new Set<string>()
  try {
    await bench.open()
  } catch (error) {
    return { refusal: (error as Error).message, readable }
  }
  for (const [topic, queueId] of queues) {
    for (let at = bench.store.minOffset(topic, queueId); at < bench.store.maxOffset(topic, queueId); at++) {
      const { bodies, count } = await bench.store.read(topic, queueId, at, { countMax: 1, bytesMax: 65_536 })
      const record = Buffer.concat(bodies)
      if (count > 0 && layoutOf(record, 0) !== undefined)
        readable.add(`${topic}/${queueId} ${decodeMessages(record)[0]!.body}`)
    }
  }
  return { endOffset: bench.store.commitLog.maxOffset, readable }
}

async function reportOn(files: MemoryFiles) {
  const bench = new StoreBench({}, files)
  const sizes = { segmentBytes, consumeQueueFileBytes: queueFileBytes, slotCount: 64, indexEntries: 100 }
  const location = { rootDir: '/store', commitLogDir: '/store/commitlog' }
  const work = verifyStore({ ...location, ...sizes, onProgress: () => {} }, { files, clock: bench.clock })
  let isDone = false
  const done = () => void (isDone = true)
  work.then(done, done)
  for (let turn = 0; turn < 2000 && !isDone; turn++) await bench.clock.advance(50)
  const report = await work
  return { report, text: [...reportLines(report, '/store')].join('\n') }
}

function missing(before: Set<string>, after: Set<string>): string[] {
  return [...before].filter((message) => !after.has(message))
}

test.each<Kind>([
  { isStopped: true, hasCheckpoint: true },
  { isStopped: true, hasCheckpoint: false },
  { isStopped: false, hasCheckpoint: true },
  { isStopped: false, hasCheckpoint: false },
])('damaged at random, %j: what is foretold happens, and no advice takes a message', async (kind) => {
  const whole = await fill(kind)
  for (let seed = 1; seed <= 40; seed++) {
    const files = copyOf(whole)
    const random = new Chance(seed)
    const chance = () => random.float()
    for (let count = 1 + Math.floor(3 * chance()); count > 0; count--) damage(files, chance)

    const { report, text } = await reportOn(copyOf(files))
    const started = await start(copyOf(files))

    const { refusal, endOffset } = report.nextStart
    const told = `seed ${seed}\n${text}`
    expect({ told, refusal, endOffset: refusal === undefined ? endOffset : undefined }).toEqual({
      told,
      refusal: started.refusal,
      endOffset: started.endOffset,
    })
    if (started.refusal !== undefined) continue
    const isWarned = /copy the directory first/i.test(text)
    expect({ told, lost: isWarned ? [] : missing(readableIn(files), started.readable) }).toEqual({ told, lost: [] })
    for (const directory of ['consumequeue', 'index']) {
      if (!text.includes(`stop the broker and remove ${directory}/`)) continue
      const advised = copyOf(files)
      advised.remove(`/store/${directory}`)
      const { readable } = await start(advised)
      expect({ told, lost: missing(started.readable, readable) }).toEqual({ told, lost: [] })
    }
  }
})
