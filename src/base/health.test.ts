import { expect, test } from '@jest/globals'
import { startHealth } from './health.ts'
import { listenHttp } from './node/index.ts'

test('probes and metrics are answered', async () => {
  let reason: string | undefined = 'starting'
  let stuck: string | undefined
  const options = {
    host: '127.0.0.1',
    port: 0,
    notReady: () => reason,
    stuck: () => stuck,
    metrics: async () => 'up 1\n',
  }
  const server = await startHealth(options, listenHttp)
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${server.address.port}${path}`, { method })
    return [response.status, await response.text()]
  }
  try {
    expect(await get('/livez')).toEqual([200, 'ok\n'])
    expect(await get('/readyz')).toEqual([503, 'starting\n'])
    reason = undefined
    expect(await get('/readyz?verbose')).toEqual([200, 'ok\n'])
    stuck = 'a pass does not end'
    expect(await get('/livez')).toEqual([503, 'a pass does not end\n'])
    expect(await get('/metrics')).toEqual([200, 'up 1\n'])
    expect((await get('/elsewhere'))[0]).toBe(404)
    expect((await get('/livez', 'DELETE'))[0]).toBe(405)
  } finally {
    await server.close()
  }
})
