import { expect, test } from '@jest/globals'
import { formatProperties } from '../../../remoting/message/index.ts'
import { StoreBench } from '../../store/testing/bench.ts'
import { TopicName } from '../names.ts'
import { joinCopies } from './copies.ts'
import { Ended } from './ended.ts'

test.each([
  ['fails', undefined],
  ['is stored', 'commit'],
])('an end that %s after copies were joined is theirs as it is', async (how, outcome) => {
  const bench = await new StoreBench().open()
  for (const times of ['0', '1']) {
    const properties = formatProperties([
      ['UNIQ_KEY', 'K1'],
      ['TRANSACTION_CHECK_TIMES', times],
    ])
    bench.append({ topic: TopicName.TRANS_HALF, properties })
  }
  await bench.clock.turn()
  const ended = new Ended()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  ended.add(0, 'commit', promise)

  await joinCopies(
    bench.store,
    0,
    () => false,
    ended,
    async () => {},
  )

  expect(ended.get(0)).toBe(ended.get(1))
  expect(ended.get(1)?.isStored).toBe(false)
  if (how === 'fails') reject(new Error('EIO'))
  else resolve()
  await promise.catch(() => {})
  expect(ended.get(1)?.outcome).toBe(outcome)
  expect(ended.get(1)?.isStored).toBe(outcome && true)
  await bench.close()
})
