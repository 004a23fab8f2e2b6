import { expect, test } from '@jest/globals'
import { confirmedOffset } from './master.ts'
import { encodeReport, FrameReader, writeHeader } from './protocol.ts'
import { Pair } from './testing/pair.ts'

const texts = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `message ${from + index} `.padEnd(320, 'x'))

async function bodies(pair: Pair): Promise<string[]> {
  return (await pair.slave.readAll()).map(({ body }) => body.toString())
}

test('a slave has every message, byte for byte, over several segments', async () => {
  const pair = await new Pair().open()
  await pair.master.appendAll(texts(0, 500))

  await pair.until(() => pair.isCaughtUp)

  expect(await bodies(pair)).toEqual(texts(0, 500))
  expect(pair.hasMastersBytes()).toBe(true)
  expect(pair.haMaster.status()).toMatchObject({
    master: true,
    inSyncSlaveNums: 1,
    haConnectionInfo: [{ diff: 0, inSync: true, slaveAckOffset: pair.master.store.raw.maxOffset }],
  })
})

test('a new slave begins with the last segment', async () => {
  const pair = new Pair()
  await pair.master.open()
  await pair.slave.open()
  await pair.master.appendAll(texts(0, 500))
  await pair.startMaster()
  pair.startSlave()

  await pair.until(() => pair.isCaughtUp)

  const { minOffset, maxOffset, segmentBytes } = pair.slave.store.raw
  expect(minOffset).toBe(maxOffset - (maxOffset % segmentBytes))
  const first = pair.slave.store.minOffset('orders', 0)
  expect(first).toBeGreaterThan(0)
  expect(await bodies(pair)).toEqual(texts(first, 500))
})

test.each([true, false])('a slave that was away goes on where it stopped, killed: %s', async (isCrash) => {
  const pair = await new Pair().open()
  await pair.master.appendAll(texts(0, 20))
  await pair.until(() => pair.isCaughtUp)
  await pair.haSlave.close()
  await pair.master.appendAll(texts(20, 40))
  await pair.restartSlave(isCrash)

  await pair.until(() => pair.isCaughtUp)

  expect(await bodies(pair)).toEqual(texts(0, 40))
  expect(pair.slave.files.exists('/store/torn')).toBe(false)
})

test('a broken link is made again', async () => {
  const pair = await new Pair().open()
  await pair.master.appendAll(texts(0, 5))
  await pair.until(() => pair.isCaughtUp)
  pair.network.sockets.at(-1)!.break(new Error('ECONNRESET'))
  await pair.master.appendAll(texts(5, 10))

  await pair.clock.advance(1000)
  await pair.until(() => pair.isCaughtUp)

  expect(await bodies(pair)).toEqual(texts(0, 10))
})

test('a silent link is closed by both ends after the housekeeping interval; heartbeats keep it', async () => {
  const pair = await new Pair().open()
  await pair.clock.advance(60_000)
  expect(pair.network.sockets).toHaveLength(1)

  pair.network.sockets[0]!.pause() // the slave hears nothing more
  await pair.clock.advance(22_000)
  await pair.until(() => pair.network.sockets.length === 2)

  expect(pair.haMaster.slaveCount).toBe(1)
})

test('a master that lost its newest messages: the slave keeps them aside, cuts them and goes on', async () => {
  const pair = await new Pair().open()
  await pair.master.appendAll(texts(0, 40))
  await pair.clock.advance(1000) // flushed
  await pair.master.appendAll(texts(40, 45))
  await pair.until(() => pair.isCaughtUp)
  const slaveEnd = pair.slave.store.raw.maxOffset

  await pair.cutMastersPower()
  const masterEnd = pair.master.store.raw.maxOffset
  expect(masterEnd).toBeLessThan(slaveEnd)
  await pair.clock.advance(20_000)
  await pair.until(() => pair.isCaughtUp)
  await pair.master.appendAll(['after'])
  await pair.until(() => pair.isCaughtUp)

  expect(await bodies(pair)).toEqual([...texts(0, 40), 'after'])
  expect(pair.hasMastersBytes()).toBe(true)
  const zeroesAtItsEnd = 2 // of a message without properties: not kept
  const [kept] = pair.slave.files.list('/store/torn')
  expect(kept?.sizeBytes).toBe(slaveEnd - masterEnd - zeroesAtItsEnd)
})

test('a master that went on with others after its loss: the slave finds where they part', async () => {
  const pair = await new Pair().open()
  await pair.master.appendAll(texts(0, 40))
  await pair.clock.advance(1000)
  await pair.master.appendAll(texts(40, 45))
  await pair.until(() => pair.isCaughtUp)
  await pair.haSlave.close()

  await pair.cutMastersPower()
  await pair.clock.advance(10) // another store time
  await pair.master.appendAll(texts(100, 120))
  await pair.restartSlave()
  await pair.clock.advance(5000)
  await pair.until(() => pair.isCaughtUp)

  expect(await bodies(pair)).toEqual([...texts(0, 40), ...texts(100, 120)])
  expect(pair.hasMastersBytes()).toBe(true)
})

test('a slave of another group’s log changes nothing, and says that somebody must act', async () => {
  const pair = new Pair()
  await pair.master.open()
  await pair.slave.open()
  const other = await new Pair().open()
  await other.master.appendAll(texts(500, 560))
  await pair.master.appendAll(texts(0, 200))
  const { raw } = other.master.store
  const bytes = Buffer.alloc(raw.maxOffset)
  raw.read(bytes, 0)
  pair.slave.store.raw.copy!.append(0, bytes)
  await pair.clock.turn()
  await pair.startMaster()
  pair.startSlave()

  await pair.until(() => pair.haSlave.refusal !== undefined)

  expect(pair.slave.store.raw.maxOffset).toBe(bytes.length)
  expect(await bodies(pair)).toEqual(texts(500, 560))
  expect(pair.slave.files.exists('/store/torn')).toBe(false)
})

test('a SYNC_MASTER answers when enough slaves have the message', async () => {
  const pair = await new Pair({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2 }).open()
  const sent = pair.master.append({ text: 'paid' })
  const unwaiting = pair.master.append({ text: 'seen', waitsForFlush: false })

  await pair.clock.turn()
  expect([sent.status, unwaiting.status]).toEqual([undefined, 'ok'])
  expect(await pair.master.readAll()).toHaveLength(2) // readable meanwhile, as with Apache
  await pair.until(() => sent.status !== undefined)

  expect(sent.status).toBe('ok')
  expect(await bodies(pair)).toContain('paid')
})

test('without its slave a SYNC_MASTER says so after slaveTimeout, and the message stays', async () => {
  const pair = new Pair({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2 })
  await pair.master.open()
  await pair.slave.open()
  await pair.startMaster()
  const sent = pair.master.append({ text: 'paid' })

  await pair.clock.advance(2999)
  expect(sent.status).toBeUndefined()
  await pair.clock.advance(10)

  expect(sent.status).toBe('slaveTimeout')
  pair.startSlave()
  await pair.until(() => pair.isCaughtUp)
  expect(await bodies(pair)).toEqual(['paid'])
})

test.each([
  [1, [], Number.MAX_SAFE_INTEGER],
  [2, [], 0],
  [2, [100, 0, 70], 100],
  [3, [100, 50, 70], 70],
  [3, [100], 0],
  [3, [100, 0], 0],
])('with inSyncReplicas=%i and slaves at %j all before %i is confirmed', (inSyncReplicas, acks, expected) => {
  expect(confirmedOffset(acks, inSyncReplicas - 1)).toBe(expected)
})

/** A slave that is only a socket. */
async function rawSlave(pair: Pair) {
  const socket = await pair.network.connect({ host: '10.0.0.1', port: 10_912 }, 1000)
  const frames: { phyOffset: number; bytes: number }[] = []
  const reader = new FrameReader()
  const state = { isClosed: false }
  socket.handle({
    data: (chunk) =>
      void reader.take(chunk, {
        header: (phyOffset, bytes) => frames.push({ phyOffset, bytes }) > 0,
        bytes: () => true,
      }),
    drained: () => {},
    closed: () => void (state.isClosed = true),
  })
  return { socket, frames, state }
}

test('a slave that claims more than there is confirms nothing, and is told where the log ends', async () => {
  const pair = new Pair({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2 })
  await pair.master.open()
  await pair.startMaster()
  const { socket, frames, state } = await rawSlave(pair)
  socket.write(encodeReport(1_000_000))
  const sent = pair.master.append()

  await pair.until(() => state.isClosed)
  await pair.clock.advance(3100)

  expect(frames).toEqual([{ phyOffset: 0, bytes: 0 }])
  expect(sent.status).toBe('slaveTimeout')
})

test.each([
  ['waits for', 'ASYNC'],
  ['has not flushed', 'SYNC'],
] as const)('a new slave gets the segment of what its SYNC_MASTER %s', async (_what, flushes) => {
  const pair = new Pair({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2 }, 4096, { flush: flushes })
  let flush: () => void = () => {}
  const isFlushed = new Promise<void>((resolve) => (flush = resolve))
  if (flushes === 'SYNC') pair.master.files.beforeSync = () => isFlushed
  await pair.master.open()
  await pair.slave.open()
  await pair.startMaster()
  const sent = await pair.master.appendAll(texts(0, 15)) // into the second segment
  pair.startSlave()

  await pair.until(() => pair.isCaughtUp)
  flush()
  await pair.until(() => sent.every(({ status }) => status !== undefined))

  expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 'ok'))
  expect(await bodies(pair)).toEqual(texts(0, 15))
})

test('where a slave asks from confirms nothing: it may have other bytes there, and wants to compare', async () => {
  const pair = new Pair({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2 })
  await pair.master.open()
  await pair.startMaster()
  const [first, last] = await pair.master.appendAll(['first', 'last'])
  const { socket, frames } = await rawSlave(pair)

  socket.write(encodeReport(last!.phyOffset))
  await pair.until(() => frames.length > 0)
  socket.write(encodeReport(last!.phyOffset)) // its heartbeat
  await pair.clock.advance(100)
  expect(first!.status).toBeUndefined()
  socket.write(encodeReport(pair.master.store.raw.maxOffset))
  await pair.until(() => last!.status !== undefined)

  expect([first!.status, last!.status]).toEqual(['ok', 'ok'])
})

test('frames are no longer than haTransferBatchSize and cross no segment’s end', async () => {
  const pair = new Pair({ haTransferBatchSize: 1000 }, 4096)
  await pair.master.open()
  await pair.master.appendAll(texts(0, 30))
  await pair.startMaster()
  const { socket, frames } = await rawSlave(pair)
  const { maxOffset } = pair.master.store.raw

  socket.write(encodeReport(1))
  await pair.until(() => frames.reduce((sum, { bytes }) => sum + bytes, 1) === maxOffset)

  let next = 1
  for (const { phyOffset, bytes } of frames) {
    expect(phyOffset).toBe(next)
    expect(bytes).toBeLessThanOrEqual(1000)
    expect((phyOffset % 4096) + bytes).toBeLessThanOrEqual(4096)
    next += bytes
  }
})

test('a slave that does not read holds no more than one piece in memory', async () => {
  const pair = new Pair({}, 1024 * 1024)
  await pair.master.open()
  await pair.master.appendAll(Array.from({ length: 600 }, () => 'y'.repeat(1500)))
  await pair.startMaster()
  const { socket } = await rawSlave(pair)
  socket.write(encodeReport(1))
  socket.pause()

  for (let turn = 0; turn < 50; turn++) await pair.clock.turn()

  const { other } = pair.network.sockets.at(-1)!
  expect(other.queuedBytes).toBeGreaterThan(0)
  expect(other.queuedBytes).toBeLessThan(300 * 1024)
})

test('a slave whose network takes everything gets 1 MiB in a turn: clients have theirs in between', async () => {
  const pair = new Pair({}, 8 * 1024 * 1024)
  await pair.master.open()
  await pair.master.appendAll(Array.from({ length: 2500 }, () => 'y'.repeat(1500)))
  await pair.startMaster()
  const { socket, frames } = await rawSlave(pair)
  const { other } = pair.network.sockets.at(-1)!
  other.highWaterBytes = Number.POSITIVE_INFINITY
  const written = () => other.writes.reduce((sum, { length }) => sum + length, 0)
  const inTurns: number[] = []
  socket.write(encodeReport(1))

  for (let before = 0; frames.reduce((sum, { bytes }) => sum + bytes, 1) < pair.master.store.raw.maxOffset; ) {
    await pair.clock.turn()
    inTurns.push(written() - before)
    before = written()
    expect(inTurns.length).toBeLessThan(50)
  }

  const [first, ...others] = inTurns.filter((bytes) => bytes > 0)
  expect(first).toBeLessThan(2.2 * 1024 * 1024) // when it asked, and at the end of that turn
  expect(others.length).toBeGreaterThan(1)
  expect(Math.max(...others)).toBeLessThan(1.1 * 1024 * 1024)
})

test('what lies far back is read beside the event loop, one piece at a time', async () => {
  const pair = new Pair({}, 8 * 1024 * 1024)
  await pair.master.open()
  await pair.slave.open()
  await pair.master.appendAll(Array.from({ length: 1000 }, () => 'y'.repeat(1500)))
  const { raw } = pair.master.store
  const readLater = raw.readLater.bind(raw)
  let underWay = 0
  const pieces: { bytes: number; atOnce: number }[] = []
  raw.isHot = () => false
  raw.read = () => {
    throw new Error('the event loop would wait for the disk')
  }
  raw.readLater = async (into, phyOffset) => {
    pieces.push({ bytes: into.length, atOnce: ++underWay })
    await readLater(into, phyOffset)
    underWay--
  }
  await pair.startMaster()
  pair.startSlave()

  await pair.until(() => pair.isCaughtUp)

  expect(pieces.length).toBeGreaterThan(4)
  expect(Math.max(...pieces.map(({ bytes }) => bytes))).toBeLessThanOrEqual(256 * 1024)
  expect(Math.max(...pieces.map(({ atOnce }) => atOnce))).toBe(1)
})

test('with flow control a slave gets no more than its bytes a second', async () => {
  const pair = new Pair({ haFlowControlEnable: true, maxHaTransferByteInSecond: 10_000 })
  await pair.master.open()
  await pair.master.appendAll(texts(0, 100))
  await pair.startMaster()
  const { socket, frames } = await rawSlave(pair)
  const sum = () => frames.reduce((all, { bytes }) => all + bytes, 0)
  socket.write(encodeReport(1))

  for (let turn = 0; turn < 20; turn++) await pair.clock.turn()
  expect(sum()).toBe(10_000)
  await pair.clock.advance(2000)
  await pair.clock.turn()

  expect(sum()).toBe(30_000)
})

test('a master that closes sends nothing more, also to a slave that it refused', async () => {
  const pair = new Pair()
  await pair.master.open()
  await pair.startMaster()
  const refused = await rawSlave(pair)
  const served = await rawSlave(pair)
  refused.socket.pause()
  refused.socket.write(encodeReport(1_000_000))
  served.socket.write(encodeReport(0))
  await pair.clock.turn()

  await pair.haMaster.close()
  await pair.master.appendAll(texts(0, 3))
  await pair.until(() => refused.state.isClosed && served.state.isClosed)

  expect(served.frames).toEqual([])
  expect(pair.haMaster.slaveCount).toBe(0)
})

test('bytes that do not follow on the slave’s log are not taken', async () => {
  const pair = new Pair()
  await pair.slave.open()
  const frame = Buffer.alloc(12 + 5)
  writeHeader(frame, 0, 777, 5)
  await pair.network.listen({ host: '10.0.0.1', port: 10_912 }, (socket) => {
    socket.handle({ data: () => void socket.write(frame), drained: () => {}, closed: () => {} })
  })
  pair.startSlave()

  await pair.until(() => pair.said.length > 0)

  expect(pair.slave.store.raw.maxOffset).toBe(0)
  expect(pair.haSlave.isFollowing).toBe(false)
})

test('a damaged sector of the master ends the link, not the master, until it can be read', async () => {
  const pair = await new Pair().open()
  await pair.master.appendAll(['before'])
  await pair.until(() => pair.isCaughtUp)
  pair.master.files.isDamaged = (path) => path.includes('/commitlog/')
  const [sent] = await pair.master.appendAll(['damaged'])
  expect(sent!.status).toBe('ok')
  await pair.until(() => pair.said.includes('the log cannot be read for a slave'))

  pair.master.files.isDamaged = () => false
  await pair.until(() => pair.isCaughtUp, 10_000)
  expect(await pair.slave.texts()).toEqual(['before', 'damaged'])
})
