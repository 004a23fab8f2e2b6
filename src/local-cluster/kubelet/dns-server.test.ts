import { promises as dns } from 'node:dns'
import { expect, test } from '@jest/globals'
import { eventually } from '../../base/testing/eventually.ts'
import type { Pod, Service } from '../workloads/objects.ts'
import { addressesOf } from './cluster-names.ts'
import { answerTo, startDnsServer } from './dns-server.ts'

function pod(name: string, podIP: string, isReady: boolean): Pod {
  const conditions = [{ type: 'Ready', status: isReady ? 'True' : 'False' }]
  return {
    metadata: { name, namespace: 'n', labels: { app: 'mq' } },
    spec: { containers: [], hostname: name, subdomain: 'mq-headless' },
    status: { phase: 'Running', podIP, conditions },
  } as unknown as Pod
}

function service(name: string, spec: object): Service {
  return { metadata: { name, namespace: 'n' }, spec: { selector: { app: 'mq' }, ...spec } } as unknown as Service
}

const pods = [pod('mq-0', '127.9.16.1', true), pod('mq-1', '127.9.16.2', false)]
const services = [
  service('mq', { clusterIP: '127.9.1.1' }),
  service('mq-headless', { clusterIP: 'None' }),
  service('mq-all', { clusterIP: 'None', publishNotReadyAddresses: true }),
]

test.each([
  ['mq.n.svc.cluster.local', ['127.9.1.1']],
  ['mq-headless.n.svc.cluster.local', ['127.9.16.1']],
  ['mq-all.n.svc.cluster.local', ['127.9.16.1', '127.9.16.2']],
  ['mq-0.mq-headless.n.svc.cluster.local', ['127.9.16.1']],
  ['mq-1.mq-headless.n.svc.cluster.local', undefined],
  ['mq.other.svc.cluster.local', undefined],
  ['example.org', undefined],
])('%s has the addresses %j', (name, addresses) => {
  expect(addressesOf(name, services, pods)).toEqual(addresses)
})

test("Node's resolver reads the server's answers", async () => {
  const names: Record<string, string[]> = {
    'a.svc.cluster.local': ['127.9.1.1', '127.9.1.2'],
    'empty.svc.cluster.local': [],
  }
  const port = 20_000 + (process.pid % 10_000)
  const server = await startDnsServer('127.0.0.1', port, (name) => names[name])
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 1 })
  resolver.setServers([`127.0.0.1:${port}`])

  expect((await resolver.resolve4('A.svc.cluster.local')).sort()).toEqual(['127.9.1.1', '127.9.1.2'])
  await expect(resolver.resolve4('empty.svc.cluster.local')).rejects.toMatchObject({ code: 'ENODATA' })
  await expect(resolver.resolve4('none.svc.cluster.local')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  await server.close()
})

test('bytes that are no query get no answer', () => {
  for (const query of [Buffer.alloc(0), Buffer.alloc(12), Buffer.alloc(40, 0xff), Buffer.alloc(40, 63)])
    expect(answerTo(query, () => [])).toBeUndefined()
})

test('servers whose address is taken leave no sockets', async () => {
  const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWrap').length
  const port = 20_000 + (process.pid % 10_000)
  const server = await startDnsServer('127.0.0.2', port, () => undefined)
  const before = sockets() // one that just closed may be among them

  for (let tries = 0; tries < 5; tries++) {
    const second = startDnsServer('127.0.0.2', port, () => undefined)
    await expect(second).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  }
  const left = eventually(() => expect(sockets()).toBeLessThanOrEqual(before), 2_000)

  await left.finally(() => server.close())
})
