import { afterEach, expect, test } from '@jest/globals'
import type { Listener, Socket } from '../network.ts'
import { eventually } from '../testing/eventually.ts'
import { nodeNetwork } from './network.ts'

const listeners: Listener[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(listeners.splice(0).map((listener) => listener.close()))
})

/** A listener whose connections borrow what they read. */
async function connectedPairs(count: number) {
  const accepted: Socket[] = []
  const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, (socket) => void accepted.push(socket))
  listeners.push(listener)
  const clients: Socket[] = []
  for (let index = 0; index < count; index++) {
    const client = await nodeNetwork.connect(listener.address, 5_000)
    client.handle({ data: () => {}, drained: () => {}, closed: () => {} })
    clients.push(client)
    await eventually(() => expect(accepted).toHaveLength(index + 1))
  }
  sockets.push(...clients)
  return { clients, accepted }
}

function borrower(socket: Socket) {
  const seen = { text: '', buffers: new Set<ArrayBufferLike>(), isClosed: false }
  socket.handle({
    borrows: true,
    data(chunk) {
      seen.text += chunk.toString()
      seen.buffers.add(chunk.buffer)
    },
    drained: () => {},
    closed: () => {
      seen.isClosed = true
    },
  })
  return seen
}

test('connections that borrow read into one buffer', async () => {
  const { clients, accepted } = await connectedPairs(2)
  const [one, two] = accepted.map(borrower) as [ReturnType<typeof borrower>, ReturnType<typeof borrower>]

  clients[0]!.write(Buffer.from('one'))
  clients[1]!.write(Buffer.from('two'))
  await eventually(() => expect([one.text, two.text]).toEqual(['one', 'two']))
  clients[0]!.write(Buffer.from(', and more'))
  await eventually(() => expect(one.text).toBe('one, and more'))

  expect(one.buffers.size).toBe(1) // this Node has what shared-read.ts needs
  expect(two.buffers).toEqual(one.buffers)
})

test('a connection that borrows can pause, go on, and hears of its end', async () => {
  const { clients, accepted } = await connectedPairs(1)
  const seen = borrower(accepted[0]!)
  clients[0]!.write(Buffer.from('before'))
  await eventually(() => expect(seen.text).toBe('before'))

  accepted[0]!.pause()
  clients[0]!.write(Buffer.from(' after'))
  clients[0]!.end()
  expect(seen).toMatchObject({ text: 'before', isClosed: false })
  accepted[0]!.resume()

  await eventually(() => expect(seen).toMatchObject({ text: 'before after', isClosed: true }))
})

test('what the peer does not read yet is queued, and comes whole and in order', async () => {
  const { clients, accepted } = await connectedPairs(1)
  const [from, to] = [accepted[0]!, clients[0]!]
  const drains: number[] = []
  from.handle({ data: () => {}, drained: () => void drains.push(from.queuedBytes), closed: () => {} })
  const parts: Buffer[] = []
  to.handle({ data: (chunk) => void parts.push(Buffer.from(chunk)), drained: () => {}, closed: () => {} })
  to.pause()

  const sent = Array.from({ length: 512 }, (_, index) => Buffer.alloc(64 * 1024 + index, index))
  const answers = sent.map((bytes) => from.write(bytes))
  expect(answers[0]).toBe(true)
  expect(from.queuedBytes).toBeGreaterThan(0) // more than the operating system takes
  expect(answers.at(-1)).toBe(false)

  to.resume()
  await eventually(() => expect(parts.reduce((sum, { length }) => sum + length, 0)).toBe(Buffer.concat(sent).length))
  expect(Buffer.concat(parts).equals(Buffer.concat(sent))).toBe(true)
  await eventually(() => expect([from.queuedBytes, drains.length > 0]).toEqual([0, true]))
})
