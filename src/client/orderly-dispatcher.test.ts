import { expect, test } from '@jest/globals'
import { ManualClock } from '../base/testing/clock.ts'
import { OrderlyDispatcher } from './orderly-dispatcher.ts'
import { type Held, ProcessQueue } from './process-queue.ts'

const queue = (queueId: number) => new ProcessQueue({ topic: 'T', brokerName: 'b', queueId }, 0)
const held = (owner: ProcessQueue, queueOffset: number): Held => ({ owner, queueOffset, stored: undefined })

/** A handler whose runs end when the test says so. */
function manual(countMax: number) {
  const clock = new ManualClock()
  const begun: string[] = []
  const ends: ((pauseMs: number) => void)[] = []
  const dispatcher = new OrderlyDispatcher(
    countMax,
    ({ owner, queueOffset }) => {
      begun.push(`${owner.queue.queueId}/${queueOffset}`)
      return new Promise((resolve) => ends.push(resolve))
    },
    clock,
  )
  const endFirst = async (pauseMs = 0) => {
    ends.shift()?.(pauseMs)
    await clock.turn()
  }
  return { begun, clock, dispatcher, endFirst }
}

test('of each queue one message runs at a time; queues run beside each other and take turns', async () => {
  const { begun, dispatcher, endFirst } = manual(2)
  const [a, b, c] = [queue(0), queue(1), queue(2)] as const
  dispatcher.add([held(a, 0), held(a, 1), held(b, 0), held(b, 1), held(c, 0)])
  expect(begun).toEqual(['0/0', '1/0'])
  for (let ended = 0; ended < 3; ended++) await endFirst()
  expect(begun).toEqual(['0/0', '1/0', '2/0', '0/1', '1/1'])
})

test('a message that failed holds up its own queue alone, until it is tried again', async () => {
  const { begun, clock, dispatcher, endFirst } = manual(1)
  const [a, b] = [queue(0), queue(1)] as const
  dispatcher.add([held(a, 0), held(a, 1), held(b, 0)])
  await endFirst(1_000)
  await endFirst()
  expect(begun).toEqual(['0/0', '1/0'])
  await clock.advance(999)
  dispatcher.add([held(a, 2)])
  expect(begun).toHaveLength(2)
  await clock.advance(1)
  await endFirst()
  expect(begun).toEqual(['0/0', '1/0', '0/0', '0/1'])
})

test('a queue that is dropped goes no further, and is idle when what runs has ended', async () => {
  const { begun, dispatcher, endFirst } = manual(2)
  const [a, b] = [queue(0), queue(1)] as const
  dispatcher.add([held(a, 0), held(a, 1), held(b, 0)])
  a.isDropped = true
  let isIdle = false
  const idle = dispatcher.idle(a).then(() => {
    isIdle = true
  })
  await endFirst(50)
  await idle
  expect(isIdle).toBe(true)
  dispatcher.add([held(a, 2)])
  await endFirst()
  expect(begun).toEqual(['0/0', '1/0'])
})

test('stop lets end what runs, and begins nothing more', async () => {
  const { begun, clock, dispatcher, endFirst } = manual(2)
  const [a, b] = [queue(0), queue(1)] as const
  dispatcher.add([held(a, 0), held(a, 1), held(b, 0)])
  await endFirst(10)
  let isStopped = false
  const stopping = dispatcher.stop().then(() => {
    isStopped = true
  })
  await clock.advance(10)
  expect(isStopped).toBe(false)
  await endFirst()
  await stopping
  expect(begun).toEqual(['0/0', '1/0'])
})
