import { expect, test } from '@jest/globals'
import { Dispatcher } from './dispatcher.ts'
import { type Held, ProcessQueue } from './process-queue.ts'

const owner = () => new ProcessQueue({ topic: 'T', brokerName: 'b', queueId: 0 }, 0)
const held = (queueOffset: number, of = owner()): Held => ({ owner: of, queueOffset, stored: undefined })

/** A handler whose runs end when the test says so. */
function manual(countMax: number) {
  const begun: number[] = []
  const ends: (() => void)[] = []
  const dispatcher = new Dispatcher(countMax, ({ queueOffset }) => {
    begun.push(queueOffset)
    return new Promise((resolve) => ends.push(resolve))
  })
  const endFirst = async () => {
    ends.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { begun, dispatcher, endFirst }
}

test('messages begin in order, as many at a time as may', async () => {
  const { begun, dispatcher, endFirst } = manual(2)
  dispatcher.add([held(1), held(2), held(3)])
  dispatcher.add([held(4)])
  expect(begun).toEqual([1, 2])
  await endFirst()
  await endFirst()
  expect(begun).toEqual([1, 2, 3, 4])
})

test('messages of a dropped queue are passed over', async () => {
  const { begun, dispatcher, endFirst } = manual(1)
  const lost = owner()
  dispatcher.add([held(1), held(2, lost), held(3)])
  lost.isDropped = true
  await endFirst()
  expect(begun).toEqual([1, 3])
})

test('stop lets end what runs, and begins nothing more', async () => {
  const { begun, dispatcher, endFirst } = manual(2)
  dispatcher.add([held(1), held(2), held(3)])
  let isStopped = false
  const stopping = dispatcher.stop().then(() => {
    isStopped = true
  })
  await endFirst()
  expect(isStopped).toBe(false)
  await endFirst()
  await stopping
  expect(begun).toEqual([1, 2])
})

test('many messages go through', async () => {
  let count = 0
  const dispatcher = new Dispatcher(3, async () => {
    count++
  })
  for (let batch = 0; batch < 100; batch++) dispatcher.add(Array.from({ length: 50 }, (_, index) => held(index)))
  for (let turn = 0; turn < 10 && count < 5_000; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(count).toBe(5_000)
})
