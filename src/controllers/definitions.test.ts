import { expect, test } from '@jest/globals'
import type { HttpRequest, HttpResponse } from '../base/http.ts'
import { type Log, type LogFields, silentLog } from '../base/log.ts'
import { nodeRandom } from '../base/node/random.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { customResourceDefinition, definitions } from '../crds/index.ts'
import { EventRecorder, type KubeObject } from '../kube/index.ts'
import { MemoryApi } from '../kube/testing/memory-api.ts'
import { sayOutdated } from './definitions.ts'
import { startCluster } from './testing/cluster.ts'

const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const pod: KubeObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'operator-1', namespace: 'rocketmq-operator', uid: 'u' },
}

interface Properties {
  [field: string]: { properties?: Properties; items?: { properties: Properties }; enum?: string[] }
}

/** An API server whose role lets nobody read definitions. */
class ClosedApi extends MemoryApi {
  override async request(request: HttpRequest): Promise<HttpResponse> {
    const response = await super.request(request)
    return request.url.includes(path) ? { ...response, status: 403 } : response
  }
}

/** @param age what makes the definition of a kind, by plural, that of an earlier version */
async function look({
  api = new MemoryApi(),
  isInPod = true,
  age = {} as Record<string, (fields: Properties) => void>,
} = {}) {
  const clock = new ManualClock()
  for (const definition of definitions) {
    const crd = structuredClone(customResourceDefinition(definition))
    age[definition.plural]?.(crd.spec.versions[0]?.schema.openAPIV3Schema.properties as unknown as Properties)
    api.objects.set(`${path}/${crd.metadata.name}`, crd as never)
  }
  const said: [string, LogFields][] = []
  const hear = (level: string) => (fields: LogFields) => void said.push([level, fields])
  const log: Log = { ...silentLog, error: hear('error'), warn: hear('warn') }
  const client = api.client('test')
  const recorder = new EventRecorder(client, 'test', { clock, random: nodeRandom, log: silentLog })

  await sayOutdated(definitions, client, recorder, isInPod ? pod : undefined, log)
  await clock.turn()

  const events = [...api.objects].filter(([at]) => at.includes('/events/')).map(([, event]) => event)
  return { said, events }
}

test('nothing is said of definitions that are those of this version', async () => {
  expect(await look()).toEqual({ said: [], events: [] })
})

test('nor of those that an API server has taken', async () => {
  const cluster = await startCluster({ leads: false })
  const said: LogFields[] = []
  const hear = (fields: LogFields) => void said.push(fields)
  const doors = { clock: new ManualClock(), random: nodeRandom, log: silentLog }
  const recorder = new EventRecorder(cluster.client, 'test', doors)

  await sayOutdated(definitions, cluster.client, recorder, pod, { ...silentLog, error: hear, warn: hear })
  await cluster.stop()

  expect(said).toEqual([])
})

test('nor of newer ones', async () => {
  const topics = ({ status }: Properties) => {
    Object.assign(status!.properties!, { futureField: { type: 'string' } })
  }
  expect(await look({ age: { topics } })).toEqual({ said: [], events: [] })
})

test('an older one is told with what it loses and what helps, in the log and at the pod', async () => {
  const topics = ({ spec, status }: Properties) => {
    delete status!.properties!.owner
    delete spec!.properties!.driftPolicy
  }
  const brokersets = ({ status }: Properties) => {
    const group = status!.properties!.groupStatuses!.items!.properties
    delete group.members
    group.state!.enum = group.state!.enum!.filter((state) => state !== 'Hibernated')
  }

  const { said, events } = await look({ age: { topics, brokersets } })

  expect(said).toEqual([
    [
      'error',
      expect.objectContaining({ name: 'brokersets.rocketmq.alt', remedy: expect.stringContaining('deploy/crds') }),
    ],
    ['error', expect.objectContaining({ name: 'topics.rocketmq.alt', fields: 'status.owner, spec.driftPolicy' })],
  ])
  expect(said[0]?.[1].fields).toBe('status.groupStatuses[].state: Hibernated, status.groupStatuses[].members')
  expect(events).toHaveLength(2)
  expect(events[1]).toMatchObject({
    type: 'Warning',
    reason: 'CRDOutdated',
    metadata: { namespace: 'rocketmq-operator' },
    involvedObject: { kind: 'Pod', name: 'operator-1', uid: 'u' },
    message: expect.stringContaining('topics.rocketmq.alt is older than this operator'),
  })
})

test('a long list is cut, and outside of a pod the log alone tells', async () => {
  const topics = (fields: Properties) => {
    fields.status = { properties: {} }
  }

  const { said, events } = await look({ isInPod: false, age: { topics } })

  expect(said).toEqual([
    ['error', expect.objectContaining({ fields: expect.stringMatching(/(status\.\w+, ){4}status\.\w+ and \d+ more/) })],
  ])
  expect(events).toEqual([])
})

test('an operator that may not read them says so, and goes on', async () => {
  const { said, events } = await look({ api: new ClosedApi() })

  expect(said).toHaveLength(definitions.length)
  expect(said[0]).toEqual(['warn', expect.objectContaining({ why: 'this operator may not read it' })])
  expect(events).toEqual([])
})
