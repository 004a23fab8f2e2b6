// What our API server forgets. A real one forgets what etcd compacted, minutes later, so this is not compared as kube-*.test.ts are.
import { expect, test } from '@jest/globals'
import { startKubeServer } from './kube-server.ts'

test('a watch, a list and a page from a version that is forgotten are told 410, not left in the dark', async () => {
  const server = await startKubeServer()
  try {
    const configMaps = '/api/v1/namespaces/default/configmaps'
    const get = async (query: string) => (await server.call('GET', `${configMaps}?${query}`)).body
    const [event] = await server.watch(`${configMaps}?resourceVersion=1&timeoutSeconds=5`).take(1)
    const expired = { kind: 'Status', code: 410, reason: 'Expired' }
    expect(event).toMatchObject({ type: 'ERROR', object: expired })
    expect(await get('resourceVersion=1&resourceVersionMatch=Exact')).toMatchObject(expired)
    const token = Buffer.from(JSON.stringify({ revision: 1, after: '/' })).toString('base64url')
    expect(await get(`limit=1&continue=${token}`)).toMatchObject(expired)
  } finally {
    await server.stop()
  }
}, 30_000)
