import { expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { MemoryNetwork, type MemorySocket } from '../base/testing/network.ts'
import { RemotingClient, type RemotingClientOptions } from './client.ts'
import { ResponseCode } from './codes.ts'
import type { Command } from './command.ts'
import { encodeCommand, FrameDecoder, responseFrame } from './frame.ts'
import { type Connection, type Handler, type ServerOptions, startServer } from './server.ts'

const listen = { host: '10.0.0.1', port: 10911 }
const address = '10.0.0.1:10911'
const echo: Handler = ({ extFields, body }) => ({ code: ResponseCode.SUCCESS, extFields, body })

async function startPair(
  options: Partial<ServerOptions> & { handle: Handler },
  clientOptions: RemotingClientOptions = {},
) {
  const doors = { clock: new ManualClock(), network: new MemoryNetwork(), log: silentLog }
  const server = await startServer({ listen, ...options }, doors)
  const client = new RemotingClient(clientOptions, doors)
  const connections = () => [...server.connections] as Connection[]
  return { ...doors, server, client, connections }
}

/** A peer that writes bytes by hand and collects what comes back. */
async function rawPeer(network: MemoryNetwork) {
  const socket = (await network.connect(listen, 1000)) as MemorySocket
  const decoder = new FrameDecoder()
  const responses: Command[] = []
  socket.handle({ data: (chunk) => decoder.push(chunk, (c) => responses.push(c)), drained() {}, closed() {} })
  return { socket, responses }
}

function requestFrame(given: Partial<Command> = {}): Buffer {
  const body = Buffer.alloc(0)
  const rest = { code: 10, language: 'JAVA', version: 479, opaque: 1, flag: 0, remark: undefined, extFields: {} }
  return encodeCommand({ ...rest, body, ...given })
}

/** How a promise ended: its value, or its error's code. */
async function outcome(promise: Promise<Command>): Promise<unknown> {
  return promise.then(
    ({ code }) => code,
    (error: OperatingError) => error.code,
  )
}

test('a request is answered', async () => {
  const { client } = await startPair({ handle: echo })

  const response = await client.call(address, { code: 10, extFields: { a: 'x' }, body: Buffer.from('body') }, 1000)

  expect(response).toMatchObject({ code: 0, flag: 1, extFields: { a: 'x' }, body: Buffer.from('body') })
})

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

test('answers of one turn leave in one write, in order', async () => {
  const { network, clock, connections } = await startPair({ handle: echo })
  const { socket, responses } = await rawPeer(network)

  socket.write(Buffer.concat([1, 2, 3].map((opaque) => requestFrame({ opaque }))))
  await clock.turn()
  await clock.turn()

  expect(responses.map(({ opaque }) => opaque)).toEqual([1, 2, 3])
  expect(socket.other.writes.length).toBe(1)
  expect(connections()[0]).toMatchObject({ version: 479, language: 'JAVA' })
})

test('answers that wait for one event leave in one write', async () => {
  const kept: (() => void)[] = []
  const { network, clock } = await startPair({
    handle: (request) => void kept.push(() => request.answerEncoded(responseFrame(request.opaque, 0))),
  })
  const { socket, responses } = await rawPeer(network)
  socket.write(requestFrame({ opaque: 1 }))
  socket.write(requestFrame({ opaque: 2 }))
  await clock.turn()

  clock.endOfTurn(() => kept.reverse().forEach((answer) => void answer()))
  await clock.turn()
  await clock.turn()

  expect(responses.map(({ opaque }) => opaque)).toEqual([2, 1])
  expect(socket.other.writes.length).toBe(1)
})

test.each<[string, Handler, string]>([
  [
    'throws',
    () => {
      throw new OperatingError('HEADER_INVALID', { field: 'topic' })
    },
    'HEADER_INVALID: a header lacks a field or holds one that does not parse (field=topic)',
  ],
  ['rejects', () => Promise.reject(new Error('boom')), 'boom'],
  ['is wrong', () => null as never, "Cannot use 'in' operator to search for 'then' in null"],
])('a handler that %s is a SYSTEM_ERROR and ends nothing', async (_, broken, remark) => {
  const { client } = await startPair({ handle: (request) => (request.code === 1 ? broken(request) : echo(request)) })

  expect(await client.call(address, { code: 1 }, 1000)).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark })
  expect(await client.call(address, { code: 2 }, 1000)).toMatchObject({ code: ResponseCode.SUCCESS })
})

test('a oneway request is handled and not answered', async () => {
  const handled: number[] = []
  const { network, clock } = await startPair({
    handle: (request) => {
      handled.push(request.code)
      return request.code === 1 ? Promise.reject(new Error('boom')) : echo(request)
    },
  })
  const { socket, responses } = await rawPeer(network)

  socket.write(requestFrame({ code: 1, flag: 2 }))
  socket.write(requestFrame({ code: 2, flag: 2 }))
  await clock.turn()
  await clock.turn()

  expect([handled, responses]).toEqual([[1, 2], []])
})

test('bytes that are no frame close the connection', async () => {
  const { network, clock, connections } = await startPair({ handle: echo })
  const { socket } = await rawPeer(network)

  socket.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  await clock.turn()

  expect([socket.isClosed, connections().length]).toEqual([true, 0])
})

test('an answer that is too large for a frame becomes an error', async () => {
  const { client } = await startPair({ handle: () => ({ code: 0, body: Buffer.alloc(17 * 1024 * 1024) }) })

  const response = await client.call(address, { code: 21 }, 1000)

  expect(response.code).toBe(ResponseCode.SYSTEM_ERROR)
  expect(response.remark).toMatch(/^FRAME_TOO_LARGE/)
})

test('a peer with too many requests under way is told to wait', async () => {
  const { client } = await startPair({ handle: () => undefined, requestsMax: 2 })
  const kept = [client.call(address, { code: 11 }, 1000), client.call(address, { code: 11 }, 1000)]
  kept.forEach((promise) => void promise.catch(() => {}))

  expect(await client.call(address, { code: 11 }, 1000)).toMatchObject({ code: ResponseCode.SYSTEM_BUSY })
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

test('a request above the limit of calls is not sent', async () => {
  const { client, clock, network, connections } = await startPair(
    { handle: echo, callsMax: 1 },
    { onRequest: () => undefined },
  )
  await client.call(address, { code: 34 }, 1000)
  const [connection] = connections()
  const waiting = outcome(connection!.call({ code: 307 }, 1000))
  const sent = network.sockets[0]!.other.writes.length

  expect(await outcome(connection!.call({ code: 307 }, 1000))).toBe('TOO_MANY_REQUESTS')
  await clock.turn()
  expect(network.sockets[0]!.other.writes.length).toBe(sent + 1)
  await clock.advance(1000)
  expect(await waiting).toBe('REQUEST_TIMEOUT')
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

test('a closed server leaves no timer', async () => {
  const { server, client, clock } = await startPair({ handle: echo })
  await client.close()
  await server.close(1000)

  expect(clock.timers).toBe(0)
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

test('when all connections together hold too much, the one that holds most goes', async () => {
  const { network, clock } = await startPair({
    handle: ({ body }) => ({ code: 0, body: Buffer.alloc(10_000 + body.length) }),
    heldBytesMax: 100_000,
  })
  const peers = [await rawPeer(network), await rawPeer(network), await rawPeer(network)]
  const open = () => peers.map(({ socket }) => !socket.isClosed)
  for (const { socket } of peers) socket.pause()

  for (const { socket } of peers) socket.write(requestFrame())
  peers[1]!.socket.write(requestFrame({ body: Buffer.alloc(30_000) }))
  await clock.turn()
  expect(open()).toEqual([true, true, true])

  peers[2]!.socket.write(requestFrame({ body: Buffer.alloc(25_000) })) // 10 + 50 + 45 thousand
  await clock.turn()
  expect(open()).toEqual([true, false, true])
})

test('when all connections together hold much, each gets less at once', async () => {
  const { network, clock } = await startPair({
    handle: () => ({ code: 0, body: Buffer.alloc(80_000) }),
    queuedBytesHigh: 2_560_000,
    heldBytesMax: 3_200_000,
  })
  const [first, second] = [await rawPeer(network), await rawPeer(network)]
  const requests = Buffer.concat(Array.from({ length: 12 }, (_, opaque) => requestFrame({ opaque })))
  for (const { socket } of [first, second]) socket.pause()

  first.socket.write(requests)
  await clock.turn()
  second.socket.write(requests)
  await clock.turn()
  expect(first.socket.other.queuedBytes).toBeGreaterThan(12 * 80_000)
  expect(second.socket.other.queuedBytes).toBeLessThan(2 * 80_000)

  for (const { socket } of [first, second]) socket.resume()
  for (let turns = 0; turns < 50; turns++) await clock.turn()
  expect([first.responses.length, second.responses.length]).toEqual([12, 12])
})

test('frames under way are among what connections hold', async () => {
  const { network, clock } = await startPair({ handle: echo, heldBytesMax: 100_000 })
  const peers = [await rawPeer(network), await rawPeer(network)]
  const frame = requestFrame({ body: Buffer.alloc(90_000) })

  peers[0]!.socket.write(frame.subarray(0, 60_000))
  peers[1]!.socket.write(frame.subarray(0, 70_000))
  await clock.turn()

  expect(peers.map(({ socket }) => socket.isClosed)).toEqual([false, true])
})

test('connections above the limit are refused', async () => {
  const { network, clock } = await startPair({ handle: echo, connectionsMax: 1 })
  const first = await rawPeer(network)
  const second = await rawPeer(network)
  await clock.turn()

  expect([first.socket.isClosed, second.socket.isClosed]).toEqual([false, true])
})

test('idle connections are closed, busy ones are not', async () => {
  const { network, clock } = await startPair({ handle: echo, idleMs: 1000 })
  const idle = await rawPeer(network)
  const busy = await rawPeer(network)
  for (let step = 0; step < 4; step++) {
    busy.socket.write(requestFrame())
    await clock.advance(400)
  }

  expect([idle.socket.isClosed, busy.socket.isClosed]).toEqual([true, false])
})

/** What time does to a peer that sends a frame piece by piece. @returns seconds until it was cut off, or it had sent all */
async function sendSlowly(frame: Buffer, pieceBytes: number, everySeconds: number) {
  const { network, clock } = await startPair({ handle: echo })
  const { socket, responses } = await rawPeer(network)
  let seconds = 0
  for (let at = 0; at < frame.length && !socket.isClosed; at += pieceBytes, seconds += everySeconds) {
    socket.write(frame.subarray(at, at + pieceBytes))
    await clock.advance(everySeconds * 1000)
  }
  await clock.turn()
  return { seconds, isClosed: socket.isClosed, responses: responses.length }
}

test('a frame that drips is not waited for longer than silence is', async () => {
  const { seconds, isClosed } = await sendSlowly(requestFrame({ body: Buffer.alloc(1000) }), 1, 5)

  expect(isClosed).toBe(true)
  expect(seconds).toBeLessThanOrEqual(150) // 120 s, and the next of the checks
})

test('a large frame over a slow link has its time', async () => {
  const frame = requestFrame({ body: Buffer.alloc(4 * 1024 * 1024) })

  expect(await sendSlowly(frame, 40 * 1024, 5)).toMatchObject({ isClosed: false, responses: 1 })
})

test('frames that end are no dripping one, wherever they are cut', async () => {
  const frames = Buffer.concat(Array.from({ length: 60 }, () => requestFrame({ body: Buffer.alloc(300) })))

  expect(await sendSlowly(frames, Math.ceil(frames.length / 59.5), 10)).toMatchObject({
    isClosed: false,
    responses: 60,
  })
})

test('time in which a server did not read is not a dripping peer’s', async () => {
  const { network, clock } = await startPair({
    handle: () => ({ code: 0, body: Buffer.alloc(80_000) }),
    queuedBytesHigh: 1,
  })
  const { socket, responses } = await rawPeer(network)
  const frame = requestFrame()
  socket.write(frame.subarray(0, 20))
  await clock.advance(100_000)
  socket.pause()
  socket.write(Buffer.concat([frame.subarray(20), frame.subarray(0, 20)]))
  await clock.advance(100_000)
  expect(socket.other.isPaused).toBe(true)

  socket.resume()
  await clock.advance(100_000)
  socket.write(frame.subarray(20))
  await clock.advance(1_000)

  expect([socket.isClosed, responses.length]).toEqual([false, 2])
})

test('a closing server refuses new requests and waits for the answers under way', async () => {
  const kept: (() => void)[] = []
  const { network, server, clock } = await startPair({
    handle: (request) => void kept.push(() => request.answer({ code: 0 })),
  })
  const { socket, responses } = await rawPeer(network)
  socket.write(requestFrame({ opaque: 1 }))
  await clock.turn()

  let isClosed = false
  const closing = server.close(5000).then(() => (isClosed = true))
  socket.write(requestFrame({ opaque: 2, version: 479 }))
  socket.write(requestFrame({ opaque: 3, version: 317 }))
  await clock.advance(100)
  expect(responses.map(({ opaque, code }) => [opaque, code])).toEqual([
    [2, ResponseCode.GO_AWAY],
    [3, ResponseCode.SERVICE_NOT_AVAILABLE],
  ])
  expect(isClosed).toBe(false)

  for (const answer of kept) answer()
  await clock.advance(100)
  await closing
  expect(responses.at(-1)).toMatchObject({ opaque: 1, code: 0 })
  expect(socket.isClosed).toBe(true)
})

test('a closing server does not wait longer than its grace', async () => {
  const { network, server, clock } = await startPair({ handle: () => undefined })
  const { socket } = await rawPeer(network)
  socket.write(requestFrame())
  await clock.turn()

  const closing = server.close(1000)
  await clock.advance(1100)
  await closing

  expect(socket.isClosed).toBe(true)
})

test('a server asks its clients', async () => {
  const notified: string[] = []
  const { client, clock, connections } = await startPair(
    { handle: echo },
    {
      onRequest: (request) => {
        notified.push(request.extFields.consumerGroup ?? '')
        return { code: ResponseCode.SUCCESS, body: Buffer.from('info') }
      },
    },
  )
  await client.call(address, { code: 34 }, 1000)
  const [connection] = connections()

  connection!.oneway({ code: 40, extFields: { consumerGroup: 'G' } })
  const answer = await connection!.call({ code: 307, extFields: { consumerGroup: 'H' } }, 1000)
  await clock.turn()

  expect(notified).toEqual(['G', 'H'])
  expect(answer.body.toString()).toBe('info')
})

test('a client that answers no requests says so', async () => {
  const { client, connections } = await startPair({ handle: echo })
  await client.call(address, { code: 34 }, 1000)

  expect(await connections()[0]!.call({ code: 307 }, 1000)).toMatchObject({
    code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    remark: ' request type 307 not supported',
  })
})

test('a call without an answer ends at its own deadline', async () => {
  const { client, clock } = await startPair({ handle: () => undefined })
  const ends: [string, unknown, number][] = []
  const call = (name: string, timeoutMs: number) =>
    void outcome(client.call(address, { code: 11 }, timeoutMs)).then((end) =>
      ends.push([name, end, clock.monotonicMs()]),
    )
  call('long', 3000)
  await clock.turn()
  call('short', 100)
  call('middle', 200)

  await clock.advance(5000)

  expect(ends).toEqual([
    ['short', 'REQUEST_TIMEOUT', 100],
    ['middle', 'REQUEST_TIMEOUT', 200],
    ['long', 'REQUEST_TIMEOUT', 3000],
  ])
  expect(clock.timers).toBe(2) // the idle checks of server and client
})

test('a late answer is dropped', async () => {
  const kept: (() => void)[] = []
  const { client, clock } = await startPair({
    handle: (request) => (request.code === 1 ? void kept.push(() => request.answer({ code: 0 })) : echo(request)),
  })
  const late = outcome(client.call(address, { code: 1 }, 100))
  await clock.advance(200)
  kept[0]!()

  expect(await late).toBe('REQUEST_TIMEOUT')
  expect(await client.call(address, { code: 2 }, 100)).toMatchObject({ code: 0 })
})

test('a lost connection fails its calls and the next call makes a new one', async () => {
  const lost: string[] = []
  const { client, clock, network } = await startPair(
    { handle: (request) => (request.code === 1 ? undefined : echo(request)) },
    { onClose: (from) => lost.push(from) },
  )
  const waiting = outcome(client.call(address, { code: 1 }, 1000))
  await clock.turn()
  network.sockets[0]!.break(new Error('ECONNRESET'))

  expect(await waiting).toBe('CONNECTION_CLOSED')
  expect(await client.call(address, { code: 2 }, 1000)).toMatchObject({ code: 0 })
  expect([lost, network.sockets.length]).toEqual([[address], 2])
})

test('a request that is too large for a frame is not sent', async () => {
  const { client, clock } = await startPair({ handle: echo })

  const end = await outcome(client.call(address, { code: 10, body: Buffer.alloc(17 * 1024 * 1024) }, 1000))

  expect(end).toBe('FRAME_TOO_LARGE')
  expect(clock.timers).toBe(2) // the idle checks: nothing waits for an answer
})

test('callers share one connection', async () => {
  const { client, network } = await startPair({ handle: echo })

  await Promise.all([1, 2, 3].map((code) => client.call(address, { code }, 1000)))
  await client.oneway(address, { code: 15 })

  expect(network.sockets.length).toBe(1)
})

test.each(['10.0.0.9:1', 'nowhere', ':1', 'host:99999'])('no connection to %s', async (target) => {
  const { client } = await startPair({ handle: echo })

  expect(await outcome(client.call(target, { code: 10 }, 1000))).toBe('CONNECT_FAILED')
})

test('a connection that nobody accepts costs a caller no more than its own timeout', async () => {
  const { client, clock, network } = await startPair({ handle: echo })
  network.connect = () => new Promise(() => {})
  const end = outcome(client.call(address, { code: 10 }, 100))

  await clock.advance(150)

  expect(await end).toBe('CONNECT_FAILED')
})

test('a closed client sends no more', async () => {
  const { client, clock } = await startPair({ handle: () => undefined })
  const waiting = outcome(client.call(address, { code: 1 }, 1000))
  await clock.turn()
  await client.close()

  expect(await waiting).toBe('CONNECTION_CLOSED')
  expect(await outcome(client.call(address, { code: 1 }, 1000))).toBe('CONNECTION_CLOSED')
})
