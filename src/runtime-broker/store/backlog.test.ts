import { expect, test } from '@jest/globals'
import { decodeMessages } from '../../remoting/message/index.ts'
import { StoreBench } from './testing/bench.ts'

test('two consumers of a backlog get all messages in order, whatever was read ahead', async () => {
  const bodyBytes = 64 * 1024
  const count = 1600 // 100 MiB: a third of it is further back than what is read without a look at the disk
  const bench = await new StoreBench({
    segmentBytes: 16 * 1024 * 1024,
    consumeQueueFileBytes: 20 * 4096,
    maxMessageBytes: 4 * bodyBytes,
    index: undefined,
  }).open()
  for (let index = 0; index < count; index++) {
    const body = Buffer.alloc(bodyBytes, index % 251)
    body.writeInt32BE(index)
    bench.append({ body, queueId: index % 2 })
    if (index % 64 === 0) await bench.clock.turn()
  }
  await bench.clock.turn()

  let atOnce = 0
  const seen: number[][] = [[], []]
  const offsets = [0, 0]
  for (let rounds = 0; offsets[0]! + offsets[1]! < count && rounds < count; rounds++) {
    const queueId = rounds % 2
    const reading = bench.store.read('orders', queueId, offsets[queueId]!, { countMax: 4, bytesMax: 1 << 20 })
    if (!(reading instanceof Promise) && offsets[queueId]! < 200) atOnce++
    const result = await reading
    if (result.status !== 'found') throw new Error(result.status)
    for (const message of decodeMessages(Buffer.concat(result.bodies))) {
      const index = message.body.readInt32BE(0)
      if (!message.body.subarray(4).equals(Buffer.alloc(bodyBytes - 4, index % 251))) throw new Error(`body ${index}`)
      seen[queueId]!.push(index)
    }
    offsets[queueId] = result.nextBeginOffset
  }

  const all = Array.from({ length: count / 2 }, (_, at) => 2 * at)
  expect(seen).toEqual([all, all.map((index) => index + 1)])
  expect(atOnce).toBeGreaterThan(30) // the rest of each chunk, of the 100 reads of what lies far back
  await bench.turnUntil(bench.store.close())
}, 60_000)
