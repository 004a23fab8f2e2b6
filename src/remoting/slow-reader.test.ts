import { connect } from 'node:net'
import { expect, test } from '@jest/globals'
import { silentLog } from '../base/log.ts'
import { nodeClock, nodeNetwork } from '../base/node/index.ts'
import { eventually } from '../base/testing/eventually.ts'
import { FrameDecoder } from './frame.ts'
import { startServer } from './server.ts'
import { address, echo, outcome, rawPeer, requestFrame, startPair } from './testing/pair.ts'

test('answers that wait for their peer keep no more memory than they count', async () => {
  const { network, clock } = await startPair({ handle: echo })
  const { socket } = await rawPeer(network)
  const written: Uint8Array[] = []
  const write = socket.other.write.bind(socket.other)
  socket.other.write = (bytes) => {
    written.push(bytes)
    return write(bytes)
  }
  socket.pause()

  for (let turn = 0; turn < 2; turn++) {
    for (const opaque of [1, 2]) socket.write(requestFrame({ opaque }))
    await clock.turn()
  }

  expect(written).toHaveLength(2)
  expect(written[1]!.buffer.byteLength).toBe(written[1]!.byteLength)
})

test('answers that wait for their peer are not written over by those of others', async () => {
  const { network, clock } = await startPair({ handle: echo })
  const [slow, quick] = [await rawPeer(network), await rawPeer(network)]
  const askTwo = async ({ socket }: typeof slow, text: string) => {
    for (const opaque of [1, 2]) socket.write(requestFrame({ opaque, body: Buffer.from(`${text} ${opaque}`) }))
    await clock.turn()
  }
  slow.socket.pause()

  await askTwo(slow, 'slow')
  for (let turn = 0; turn < 3; turn++) await askTwo(quick, 'else')
  slow.socket.resume()
  await clock.turn()

  expect(slow.responses.map(({ body }) => body.toString())).toEqual(['slow 1', 'slow 2'])
})

test('nothing is read from a peer that does not read, until it does', async () => {
  let handled = 0
  const { network, clock } = await startPair({
    handle: () => ({ code: 0, body: Buffer.alloc(40_000 + handled++) }),
    queuedBytesHigh: 100_000,
  })
  const { socket, responses } = await rawPeer(network)
  socket.pause()
  for (let opaque = 0; opaque < 10; opaque++) {
    socket.write(requestFrame({ opaque }))
    await clock.turn()
  }
  expect(handled).toBe(3)
  expect(socket.other.isPaused).toBe(true)

  socket.resume()
  for (let turns = 0; turns < 10; turns++) await clock.turn()

  expect(responses.length).toBe(10)
})

test('requests that came at once are not all handled at once when their answers are large', async () => {
  let handled = 0
  const { network, clock } = await startPair({
    handle: () => ({ code: 0, body: Buffer.alloc(40_000 + handled++) }),
    queuedBytesHigh: 100_000,
    queuedBytesMax: 200_000,
  })
  const { socket, responses } = await rawPeer(network)
  socket.pause()
  socket.write(Buffer.concat(Array.from({ length: 100 }, (_, opaque) => requestFrame({ opaque }))))
  for (let turns = 0; turns < 10; turns++) await clock.turn()
  expect(handled).toBe(3)
  expect(socket.isClosed).toBe(false)

  socket.resume()
  for (let turns = 0; turns < 200; turns++) await clock.turn()

  expect(responses.map(({ opaque }) => opaque)).toEqual(Array.from({ length: 100 }, (_, opaque) => opaque))
})

test('an answer comes through to a server that reads no more requests', async () => {
  const { network, clock, connections } = await startPair({
    handle: () => ({ code: 0, body: Buffer.alloc(80_000) }),
    queuedBytesHigh: 70_000,
  })
  const { socket } = await rawPeer(network)
  await clock.turn()
  const answer = connections()[0]!.call({ code: 307 }, 1000)
  await clock.turn()
  socket.pause()
  socket.write(Buffer.concat([requestFrame({ opaque: 9 }), requestFrame({ opaque: 1, flag: 1, code: 5 })]))

  expect(await Promise.all([answer, clock.turn()])).toMatchObject([{ code: 5 }, undefined])
})

test('a peer that does not read gets no more requests', async () => {
  const { client, clock, network, connections } = await startPair({ handle: echo, queuedBytesHigh: 100_000 })
  await client.call(address, { code: 34 }, 1000)
  const [connection] = connections()
  network.sockets[0]!.pause()
  for (let count = 0; count < 20; count++) connection!.oneway({ code: 40, body: Buffer.alloc(30_000) })
  await clock.turn()

  const end = await outcome(connection!.call({ code: 307 }, 1000))

  expect(end).toBe('TOO_MANY_REQUESTS')
  expect(network.sockets[0]!.other.queuedBytes).toBeLessThan(150_000)
})

test('a client goes on reading while its own requests wait', async () => {
  const { client, clock, network } = await startPair({ handle: () => undefined })
  const ends: unknown[] = []
  const call = () =>
    void outcome(client.call(address, { code: 310, body: Buffer.alloc(4_000_000) }, 1000)).then((end) => ends.push(end))
  call()
  await clock.turn()
  network.sockets[0]!.other.pause()
  for (let count = 0; count < 4; count++) call()
  await clock.turn()

  expect(network.sockets[0]!.isPaused).toBe(false)
  expect(ends).toEqual(['TOO_MANY_REQUESTS'])
})

test('a peer that never reads is cut off', async () => {
  const { network, clock, connections } = await startPair({
    handle: () => ({ code: 0, body: Buffer.alloc(40_000) }),
    queuedBytesMax: 100_000,
  })
  const { socket } = await rawPeer(network)
  socket.pause()

  socket.write(Buffer.concat(Array.from({ length: 10 }, () => requestFrame())))
  await clock.turn()

  expect([socket.isClosed, connections().length]).toEqual([true, 0])
})

test('what waits for a peer that reads now and then is not written over', async () => {
  const bodyOf = (opaque: number) => Buffer.alloc(20_000 + 97 * opaque, opaque)
  const server = await startServer(
    { listen: { host: '127.0.0.1', port: 0 }, handle: ({ opaque }) => ({ code: 0, body: bodyOf(opaque) }) },
    { clock: nodeClock, network: nodeNetwork, log: silentLog },
  )
  const peers = [connect(server.address.port), connect(server.address.port)]
  const seen = peers.map((peer) => {
    const decoder = new FrameDecoder()
    const bodies: Buffer[] = []
    peer.on('data', (chunk: Buffer) => {
      decoder.push(chunk, ({ body }) => bodies.push(Buffer.from(body)))
      peer.pause() // the server's kernel has no room for most of it
      setTimeout(() => peer.resume(), 1)
    })
    return bodies
  })
  try {
    for (let opaque = 1; opaque <= 200; opaque++) for (const peer of peers) peer.write(requestFrame({ opaque }))
    await eventually(() => expect(seen.map(({ length }) => length)).toEqual([200, 200]))
    for (const bodies of seen) {
      expect(bodies.findIndex((body, index) => !body.equals(bodyOf(index + 1)))).toBe(-1)
    }
  } finally {
    for (const peer of peers) peer.destroy()
    await server.close(0)
  }
})
