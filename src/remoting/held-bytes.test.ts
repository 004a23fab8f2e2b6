import { expect, test } from '@jest/globals'
import { echo, rawPeer, requestFrame, startPair } from './testing/pair.ts'

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
