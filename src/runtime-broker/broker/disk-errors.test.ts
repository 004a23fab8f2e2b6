import { expect, test } from '@jest/globals'
import { eventually } from '../../base/testing/eventually.ts'
import { MemoryFiles } from '../../base/testing/files.ts'
import { ResponseCode } from '../../remoting/codes.ts'
import { startTestBroker } from './testing/test-broker.ts'

async function onMemory(settings: Record<string, unknown> = {}) {
  const files = new MemoryFiles()
  const broker = await startTestBroker({ storePathRootDir: '/store', ...settings }, undefined, files)
  await broker.client.createTopic('orders')
  expect((await broker.client.send('orders', { body: 'before' })).code).toBe(ResponseCode.SUCCESS)
  return { files, broker, client: broker.client }
}

test.each(['ENOSPC', 'EIO'] as const)(
  'a disk that refuses writes with %s: sends are refused as unavailable, pulls go on, and sends when it is well',
  async (failure) => {
    const { files, broker, client } = await onMemory()
    try {
      files.writeFailure = failure
      // the first one fails with its write, the next ones are refused at once
      for (let count = 0; count < 3; count++) {
        expect((await client.send('orders')).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE)
      }
      expect(await client.pull('orders')).toMatchObject({ code: ResponseCode.SUCCESS, bodies: ['before'] })

      files.writeFailure = undefined
      await eventually(async () => {
        expect((await client.send('orders', { body: 'after' })).code).toBe(ResponseCode.SUCCESS)
      })
      expect((await client.pull('orders', { queueOffset: 1 })).bodies).toEqual(['after'])
    } finally {
      await broker.stop()
    }
  },
)

test('a flush that fails: who waited is refused as unavailable, and so is everybody then; pulls go on, and readiness says why', async () => {
  const { files, broker, client } = await onMemory({ flushDiskType: 'SYNC_FLUSH' })
  try {
    files.syncFailure = 'EIO'
    expect((await client.send('orders')).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE)
    files.syncFailure = undefined

    expect((await client.send('orders')).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE)
    expect(await client.pull('orders')).toMatchObject({ code: ResponseCode.SUCCESS, bodies: ['before'] })
    expect(broker.running.notReady()).toContain('EIO')
  } finally {
    await broker.stop()
  }
})
