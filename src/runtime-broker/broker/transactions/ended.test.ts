import { expect, test } from '@jest/globals'
import { Ended } from './ended.ts'

test('an end is that of the original where its copy was not stored, and of nothing where it failed too', async () => {
  const ended = new Ended()
  ended.copied(1, 7)
  const rollback = ended.add(ended.newestOf(1), 'rollback', Promise.resolve())
  ended.copied(2, 8)
  const { promise, reject } = Promise.withResolvers<void>()
  ended.add(ended.newestOf(2), 'commit', promise)

  ended.notCopied(1)
  ended.notCopied(2)

  expect(ended.get(1)).toBe(rollback)
  expect(ended.get(7)).toBeUndefined() // the next half message
  expect(ended.get(2)?.outcome).toBe('commit')
  reject(new Error('EIO'))
  await expect(promise).rejects.toThrow('EIO')
  expect(ended.get(2)).toBeUndefined()
})
