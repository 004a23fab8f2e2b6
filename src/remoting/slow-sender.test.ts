import { expect, test } from '@jest/globals'
import { echo, rawPeer, requestFrame, startPair } from './testing/pair.ts'

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
