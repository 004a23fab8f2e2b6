import { expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { RequestCode, ResponseCode } from './codes.ts'
import { responseFrame } from './frame.ts'
import type { Handler } from './server.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { address, echo, outcome, rawPeer, requestFrame, startPair } from './testing/pair.ts'
import { sendFields } from './testing/requests.ts'

test('a request is answered', async () => {
  const { client } = await startPair({ handle: echo })

  const response = await client.call(address, { code: 10, extFields: { a: 'x' }, body: Buffer.from('body') }, 1000)

  expect(response).toMatchObject({ code: 0, flag: 1, extFields: { a: 'x' }, body: Buffer.from('body') })
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

test('a header that came to a server is known at all of its connections, and at no other server', async () => {
  const known: boolean[] = []
  const handle: Handler = ({ send }) => {
    known.push(send !== undefined)
    return { code: ResponseCode.SUCCESS }
  }
  const frameOf = (opaque: number) => {
    const properties = 'UNIQ_KEY\u00017F0000010000764FA30000000000C001\u0002WAIT\u0001true'
    return requestFrame({
      code: RequestCode.SEND_MESSAGE_V2,
      opaque,
      extFields: sendFields({ topic: 'T', properties }),
    })
  }
  const sendTo = async ({ network, clock }: Awaited<ReturnType<typeof startPair>>, opaque: number) => {
    const { socket } = await rawPeer(network)
    socket.write(frameOf(opaque))
    await clock.turn()
  }
  const one = await startPair({ handle })
  const other = await startPair({ handle })

  await sendTo(one, 1)
  await sendTo(one, 2)
  await sendTo(other, 3)
  await sendTo(other, 4)

  expect(known).toEqual([false, true, false, true])
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

test('a closed server leaves no timer', async () => {
  const { server, client, clock } = await startPair({ handle: echo })
  await client.close()
  await server.close(1000)

  expect(clock.timers).toBe(0)
})

test('connections above the limit are refused', async () => {
  const { network, clock } = await startPair({ handle: echo, connectionsMax: 1 })
  const first = await rawPeer(network)
  const second = await rawPeer(network)
  await clock.turn()

  expect([first.socket.isClosed, second.socket.isClosed]).toEqual([false, true])
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

test('answers of one turn whose bodies lie in spare buffers keep theirs until they leave', async () => {
  const spare = new SpareBuffers(64 * 1024, 1024 * 1024)
  const bytesOf = (opaque: number) => (opaque % 3 === 0 ? 70_000 : 20_000)
  const answerOf = (opaque: number) => {
    const bytes = bytesOf(opaque)
    return { code: 0, body: [spare.take(bytes).subarray(0, bytes).fill(opaque)], spare }
  }
  const { network, clock } = await startPair({
    handle: ({ opaque }) => (opaque % 2 === 0 ? answerOf(opaque) : Promise.resolve().then(() => answerOf(opaque))),
  })
  const { socket, responses } = await rawPeer(network)

  for (let turn = 0; turn < 3; turn++) {
    socket.write(Buffer.concat(Array.from({ length: 20 }, (_, index) => requestFrame({ opaque: 20 * turn + index }))))
    for (let turns = 0; turns < 20; turns++) await clock.turn()
  }

  expect(responses).toHaveLength(60)
  expect(responses.filter(({ opaque, body }) => !body.equals(Buffer.alloc(bytesOf(opaque), opaque)))).toEqual([])
})
