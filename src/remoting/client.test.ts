import { expect, test } from '@jest/globals'
import { ResponseCode } from './codes.ts'
import { address, echo, outcome, startPair } from './testing/pair.ts'

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
