import { expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { FrameDecoder } from '../../../remoting/frame.ts'
import { encodeHost, offsetMsgIdOf } from '../../../remoting/message/index.ts'
import type { Broker } from '../context.ts'
import { isPlainUniqKey, SendAnswer } from './send-answer.ts'

const broker = {
  settings: { regionId: 'Région "A"', traceOn: true },
  storeHost: encodeHost({ host: '10.1.2.3', port: 10911 }),
} as unknown as Broker

function read(frame: SendAnswer) {
  const into = Buffer.alloc(frame.bytesMax + 7)
  const end = frame.writeTo(into, 7)
  expect(end - 7).toBeLessThanOrEqual(frame.bytesMax)
  const commands: unknown[] = []
  new FrameDecoder().push(into.subarray(7, end), (command) => void commands.push(command))
  return commands
}

test.each([
  { opaque: 0, code: 0, queueId: 0, phyOffset: 0, queueOffset: 0 },
  {
    opaque: -2_147_483_648,
    code: 12,
    queueId: 1023,
    phyOffset: Number.MAX_SAFE_INTEGER,
    queueOffset: 9_007_199_254_740_991,
  },
  { opaque: 2_147_483_647, code: 10, queueId: 10, phyOffset: 4_294_967_296, queueOffset: 1_000_000_000_000 },
])('an answer written by hand reads as what it says: $opaque', ({ opaque, code, queueId, phyOffset, queueOffset }) => {
  const uniqKey = '7F0000010000659C0000000000000001'

  const commands = read(
    new SendAnswer(broker, opaque, code, queueId, uniqKey, { phyOffset, queueOffset, storeTimestamp: 0, size: 0 }, []),
  )

  expect(commands).toMatchObject([
    {
      code,
      opaque,
      flag: 1,
      extFields: {
        queueId: String(queueId),
        transactionId: uniqKey,
        MSG_REGION: 'Région "A"',
        msgId: offsetMsgIdOf(broker.storeHost, phyOffset),
        queueOffset: String(queueOffset),
        TRACE_ON: 'true',
      },
    },
  ])
})

test('answers of all lengths, one after the other, say what they are asked to', () => {
  const int = (max: number) => fc.oneof(fc.nat(9), fc.nat(99), fc.integer({ min: 0, max }))
  const answer = fc.record({
    opaque: fc.oneof(int(2_147_483_647), fc.integer({ min: -2_147_483_648, max: -1 })),
    code: fc.constantFrom(0, 10, 12),
    queueId: int(100_000),
    uniqKey: fc.stringMatching(/^[0-9A-Z]{1,64}$/),
    phyOffset: int(Number.MAX_SAFE_INTEGER),
    queueOffset: int(Number.MAX_SAFE_INTEGER),
  })
  fc.assert(
    fc.property(fc.array(answer, { minLength: 2, maxLength: 20 }), (answers) => {
      for (const { opaque, code, queueId, uniqKey, phyOffset, queueOffset } of answers) {
        const first = { phyOffset, queueOffset, storeTimestamp: 0, size: 0 }
        const fields = { queueId: String(queueId), transactionId: uniqKey, queueOffset: String(queueOffset) }
        const msgId = offsetMsgIdOf(broker.storeHost, phyOffset)
        expect(read(new SendAnswer(broker, opaque, code, queueId, uniqKey, first, []))).toMatchObject([
          { code, opaque, extFields: { ...fields, msgId } },
        ])
      }
    }),
    { numRuns: 300 },
  )
})

test('an answer is a copy of one of its lengths, however many others there were before', () => {
  const answer = (uniqKey: string, queueOffset: number) =>
    new SendAnswer(broker, 1, 0, 0, uniqKey, { phyOffset: 1, queueOffset, storeTimestamp: 0, size: 0 }, [])
  for (let length = 1; length <= 64; length++)
    for (let digits = 0; digits < 5; digits++) read(answer('k'.repeat(length), 10 ** digits))

  const into = Buffer.alloc(1024)
  const copies = jest.spyOn(into, 'set')
  answer('k', 10 ** 9).writeTo(into, 0)
  copies.mockClear()
  answer('l', 10 ** 9).writeTo(into, 0)
  expect(copies).toHaveBeenCalledTimes(1)
})

test('the answer to a batch names all of its messages; it need not have a name of its own', () => {
  const appended = [1, 4_294_967_296, 255].map((phyOffset, at) => ({
    phyOffset,
    queueOffset: 7 + at,
    storeTimestamp: 0,
    size: 0,
  }))
  const [first, ...others] = appended

  const [answer] = read(new SendAnswer(broker, 3, 0, 2, undefined, first!, others))

  const msgId = appended.map(({ phyOffset }) => offsetMsgIdOf(broker.storeHost, phyOffset)).join(',')
  const extFields = { queueId: '2', MSG_REGION: 'Région "A"', msgId, queueOffset: '7', TRACE_ON: 'true' }
  expect(answer).toEqual(expect.objectContaining({ opaque: 3, extFields }))
})

test('a setting that changes is in the next answer', () => {
  const appended = { phyOffset: 1, queueOffset: 1, storeTimestamp: 0, size: 0 }
  read(new SendAnswer(broker, 1, 0, 0, 'k', appended, []))

  const changed = { ...broker, settings: { ...broker.settings, traceOn: false } } as Broker
  expect(read(new SendAnswer(changed, 1, 0, 0, 'k', appended, []))).toMatchObject([
    { extFields: { TRACE_ON: 'false' } },
  ])
})

test.each(['a"b', 'a\\b', 'ümlaut', 'two words', 'tab\t', 'x'.repeat(65)])(
  'a key that JSON would change is not plain: %j',
  (key) => {
    expect(isPlainUniqKey(key)).toBe(false)
  },
)
