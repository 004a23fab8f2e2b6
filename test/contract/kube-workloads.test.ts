// What a StatefulSet's controller does, on the local cluster and on a real one (KUBECONFIG_CONTRACT, see kube.test.ts).
// No kubelet takes part on either: the pods ask for a node that is not there, and the test says how they are.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Body, type KubeServer, startKubeServer } from './kube-server.ts'

let server: KubeServer
const namespace = 'contract-workloads'
const core = `/api/v1/namespaces/${namespace}`
const sets = `/apis/apps/v1/namespaces/${namespace}/statefulsets`
const caseMs = 120_000

beforeAll(async () => {
  server = await startKubeServer()
  const metadata = { name: namespace }
  await server.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata })
}, caseMs)

afterAll(async () => {
  await server.call('DELETE', `/api/v1/namespaces/${namespace}`)
  await server.stop()
}, caseMs)

function statefulSet(name: string, spec: object): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name },
    spec: {
      serviceName: `${name}-headless`,
      selector: { matchLabels: { app: name } },
      template: template(name, 'one'),
      ...spec,
    },
  }
}

function template(name: string, revision: string): object {
  const containers = [{ name: 'c', image: 'contract/none:1', env: [{ name: 'REVISION', value: revision }] }]
  const spec = { nodeSelector: { 'contract.rocketmq.alt/node': 'none' }, terminationGracePeriodSeconds: 0, containers }
  return { metadata: { labels: { app: name }, annotations: { revision } }, spec }
}

async function podsOf(name: string): Promise<Body[]> {
  const { body } = await server.call('GET', `${core}/pods?labelSelector=app%3D${name}`)
  return body.items.filter(({ metadata }: Body) => metadata.deletionTimestamp === undefined)
}

async function hasPods(name: string, ...expected: string[]): Promise<void> {
  const names = async () => (await podsOf(name)).map(({ metadata }) => metadata.name)
  await server.eventually(async () => JSON.stringify(await names()) === JSON.stringify(expected))
}

/** Says of pods what a kubelet would. */
async function report(status: 'True' | 'False', ...names: string[]): Promise<void> {
  for (const name of names) {
    const conditions = [{ type: 'Ready', status, lastTransitionTime: '2026-01-02T03:04:05Z' }]
    const patch = { status: { phase: 'Running', conditions } }
    expect((await server.patch('merge-patch+json', `${core}/pods/${name}/status`, patch)).status).toBe(200)
  }
}

async function statusOf(name: string): Promise<Body> {
  return (await server.call('GET', `${sets}/${name}`)).body.status
}

async function hasStatus(name: string, expected: Record<string, unknown>): Promise<Body> {
  let status: Body
  try {
    await server.eventually(async () => {
      status = await statusOf(name)
      return Object.entries(expected).every(([key, value]) => status[key] === value)
    })
  } catch {
    expect(status).toMatchObject(expected)
  }
  return status
}

test(
  'an ordered set makes its pods one by one, each with its name, its claim and the revision, and takes the last first',
  async () => {
    const volumeClaimTemplates = [
      {
        metadata: { name: 'data', labels: { kept: 'yes' } },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ]
    const { body } = await server.call('POST', sets, statefulSet('ordered', { replicas: 2, volumeClaimTemplates }))
    expect(body.spec).toMatchObject({
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      revisionHistoryLimit: 10,
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    })
    await hasPods('ordered', 'ordered-0')
    await report('True', 'ordered-0')
    await hasPods('ordered', 'ordered-0', 'ordered-1')
    const before = await hasStatus('ordered', { replicas: 2, readyReplicas: 1, availableReplicas: 1 })
    expect(before).toMatchObject({ observedGeneration: 1, currentReplicas: 2, updatedReplicas: 2, collisionCount: 0 })
    expect(before.currentRevision).toBe(before.updateRevision)

    const [pod] = await podsOf('ordered')
    expect(pod).toMatchObject({
      metadata: {
        generateName: 'ordered-',
        annotations: { revision: 'one' },
        labels: {
          app: 'ordered',
          'apps.kubernetes.io/pod-index': '0',
          'controller-revision-hash': before.updateRevision,
          'statefulset.kubernetes.io/pod-name': 'ordered-0',
        },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'ordered', controller: true, blockOwnerDeletion: true },
        ],
      },
      spec: { hostname: 'ordered-0', subdomain: 'ordered-headless' },
    })
    expect(pod.spec.volumes).toContainEqual({ name: 'data', persistentVolumeClaim: { claimName: 'data-ordered-0' } })
    const { body: claim } = await server.call('GET', `${core}/persistentvolumeclaims/data-ordered-1`)
    expect(claim.metadata).toMatchObject({ labels: { app: 'ordered', kept: 'yes' } })
    expect(claim.metadata.ownerReferences).toBeUndefined()

    await report('True', 'ordered-1')
    await hasStatus('ordered', { readyReplicas: 2 })
    const { body: scale } = await server.call('GET', `${sets}/ordered/scale`)
    expect(scale).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 2, selector: 'app=ordered' } })
    await server.patch('merge-patch+json', `${sets}/ordered/scale`, { spec: { replicas: 1 } })
    await hasPods('ordered', 'ordered-0')
    await hasStatus('ordered', { replicas: 1, observedGeneration: 2 })
    expect((await server.call('GET', `${core}/persistentvolumeclaims/data-ordered-1`)).status).toBe(200)
  },
  caseMs,
)

test(
  'a parallel set makes all pods at once, and goes down without waiting for any',
  async () => {
    await server.call('POST', sets, statefulSet('parallel', { replicas: 3, podManagementPolicy: 'Parallel' }))
    await hasPods('parallel', 'parallel-0', 'parallel-1', 'parallel-2')
    await hasStatus('parallel', { replicas: 3, updatedReplicas: 3 })
    expect((await statusOf('parallel')).readyReplicas ?? 0).toBe(0)
    await server.patch('merge-patch+json', `${sets}/parallel`, { spec: { replicas: 1 } })
    await hasPods('parallel', 'parallel-0')
  },
  caseMs,
)

test(
  'OnDelete leaves pods as they are until somebody deletes them; the current revision stays the old one',
  async () => {
    const updateStrategy = { type: 'OnDelete' }
    const spec = { replicas: 2, podManagementPolicy: 'Parallel', updateStrategy }
    await server.call('POST', sets, statefulSet('patient', spec))
    await hasPods('patient', 'patient-0', 'patient-1')
    await report('True', 'patient-0', 'patient-1')
    const { currentRevision } = await hasStatus('patient', { readyReplicas: 2, updatedReplicas: 2 })
    const uids = (await podsOf('patient')).map(({ metadata }) => metadata.uid)

    await server.patch('merge-patch+json', `${sets}/patient`, { spec: { template: template('patient', 'two') } })
    const changed = await hasStatus('patient', { observedGeneration: 2, replicas: 2, currentReplicas: 2 })
    expect(changed.currentRevision).toBe(currentRevision)
    expect(changed.updateRevision).not.toBe(currentRevision)
    expect(changed.updatedReplicas ?? 0).toBe(0)
    expect((await podsOf('patient')).map(({ metadata }) => metadata.uid)).toEqual(uids)

    for (const name of ['patient-0', 'patient-1']) await server.call('DELETE', `${core}/pods/${name}`)
    await server.eventually(async () => {
      const pods = await podsOf('patient')
      const revisions = pods.map(({ metadata }) => metadata.labels['controller-revision-hash'])
      return pods.length === 2 && revisions.every((revision) => revision === changed.updateRevision)
    })
    await report('True', 'patient-0', 'patient-1')
    expect(await hasStatus('patient', { readyReplicas: 2, updatedReplicas: 2 })).toMatchObject({ currentRevision })
  },
  caseMs,
)

test(
  'a rolling update goes from the last pod to the partition, and on when that is lowered',
  async () => {
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 2 } }
    await server.call(
      'POST',
      sets,
      statefulSet('rolled', { replicas: 3, podManagementPolicy: 'Parallel', updateStrategy }),
    )
    await hasPods('rolled', 'rolled-0', 'rolled-1', 'rolled-2')
    await report('True', 'rolled-0', 'rolled-1', 'rolled-2')
    const { currentRevision } = await hasStatus('rolled', { readyReplicas: 3 })
    const [zero, one, two] = (await podsOf('rolled')).map(({ metadata }) => metadata.uid)
    const uidOf = async (name: string) => (await server.call('GET', `${core}/pods/${name}`)).body.metadata?.uid
    const isNew = (name: string, uid: string) =>
      server.eventually(async () => ![undefined, uid].includes(await uidOf(name)))

    await server.patch('merge-patch+json', `${sets}/rolled`, { spec: { template: template('rolled', 'two') } })
    await isNew('rolled-2', two)
    await report('True', 'rolled-2')
    const partly = await hasStatus('rolled', { updatedReplicas: 1, currentReplicas: 2, readyReplicas: 3 })
    expect(partly.currentRevision).toBe(currentRevision)
    expect([await uidOf('rolled-0'), await uidOf('rolled-1')]).toEqual([zero, one])

    await server.patch('merge-patch+json', `${sets}/rolled`, {
      spec: { updateStrategy: { rollingUpdate: { partition: 0 } } },
    })
    await isNew('rolled-1', one)
    expect(await uidOf('rolled-0')).toBe(zero) // it waits until the one before is ready
    await report('True', 'rolled-1')
    await isNew('rolled-0', zero)
    await report('True', 'rolled-0')
    const done = await hasStatus('rolled', { currentRevision: partly.updateRevision, updatedReplicas: 3 })
    expect(done).toMatchObject({ currentReplicas: 3, updateRevision: partly.updateRevision })
  },
  caseMs,
)

test(
  'a pod that failed is made anew, and one that comes back takes the revision of now',
  async () => {
    await server.call('POST', sets, statefulSet('failing', { replicas: 1 }))
    await hasPods('failing', 'failing-0')
    const [{ metadata }] = (await podsOf('failing')) as [Body]
    await server.patch('merge-patch+json', `${core}/pods/failing-0/status`, { status: { phase: 'Failed' } })
    await server.eventually(async () => {
      const [pod] = await podsOf('failing')
      return pod !== undefined && pod.metadata.uid !== metadata.uid
    })
  },
  caseMs,
)

test(
  'a set takes its pods along, claims only when it was told to, and leaves orphans when asked',
  async () => {
    const claims = (name: string) => [
      {
        metadata: { name },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ]
    const retention = { whenDeleted: 'Delete', whenScaled: 'Retain' }
    const fields = { replicas: 1, volumeClaimTemplates: claims('kept') }
    await server.call('POST', sets, statefulSet('leaving', fields))
    const more = { volumeClaimTemplates: claims('gone'), persistentVolumeClaimRetentionPolicy: retention }
    await server.call('POST', sets, statefulSet('taking', { replicas: 1, ...more }))
    await hasPods('leaving', 'leaving-0')
    await hasPods('taking', 'taking-0')
    const claim = async (name: string) => (await server.call('GET', `${core}/persistentvolumeclaims/${name}`)).body
    await server.eventually(async () => (await claim('gone-taking-0')).metadata.ownerReferences?.length === 1)
    const { body: refused } = await server.call('DELETE', `${sets}/leaving`, { preconditions: { uid: 'another' } })
    expect(refused).toMatchObject({ code: 409, reason: 'Conflict' })

    await server.call('DELETE', `${sets}/leaving`, { propagationPolicy: 'Foreground' })
    await server.call('DELETE', `${sets}/taking`)
    await hasPods('leaving')
    await hasPods('taking')
    await server.eventually(async () => (await server.call('GET', `${sets}/leaving`)).status === 404)
    // pvc-protection holds a claim while a pod uses it; here none is left
    await server.eventually(async () => (await claim('gone-taking-0')).code === 404)
    expect((await claim('kept-leaving-0')).metadata.deletionTimestamp).toBeUndefined()

    await server.call('POST', sets, statefulSet('orphaning', { replicas: 1 }))
    await hasPods('orphaning', 'orphaning-0')
    const madeAtMs = Date.now()
    // a garbage collector learns of dependents by a watch of its own: one that it has not heard of yet is no orphan, but garbage
    await server.eventually(async () => Date.now() - madeAtMs > collectorMs)
    await server.call('DELETE', `${sets}/orphaning`, { propagationPolicy: 'Orphan' })
    await server.eventually(async () => (await server.call('GET', `${sets}/orphaning`)).status === 404)
    await server.eventually(async () => (await podsOf('orphaning'))[0]?.metadata.ownerReferences === undefined)
    const [orphan] = await podsOf('orphaning')
    await server.call('POST', sets, statefulSet('orphaning', { replicas: 1 })) // which adopts it
    await server.eventually(async () => (await podsOf('orphaning'))[0].metadata.ownerReferences?.length === 1)
    expect((await podsOf('orphaning')).map(({ metadata }) => metadata.uid)).toEqual([orphan.metadata.uid])
  },
  caseMs,
)

const collectorMs = 2_000

test('what is fixed in a set is refused by name, and so is a set that could not work', async () => {
  await server.call('POST', sets, statefulSet('fixed', { replicas: 0 }))
  const renamed = await server.patch('merge-patch+json', `${sets}/fixed`, { spec: { serviceName: 'other' } })
  expect(renamed.body).toMatchObject({ code: 422, reason: 'Invalid', details: { causes: [{ field: 'spec' }] } })
  expect(renamed.body.message).toContain('updates to statefulset spec for fields other than')
  const selected = await server.patch('merge-patch+json', `${sets}/fixed`, {
    spec: { selector: { matchLabels: { app: 'other' } } },
  })
  expect(selected.status).toBe(422)
  const other = { metadata: { labels: { app: 'other' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const strange = await server.call('POST', sets, statefulSet('strange', { template: other }))
  expect(strange.body).toMatchObject({ code: 422, details: { causes: [{ field: 'spec.template.metadata.labels' }] } })
  const negative = await server.call('POST', sets, statefulSet('negative', { replicas: -1 }))
  expect(negative.body).toMatchObject({ code: 422, details: { causes: [{ field: 'spec.replicas' }] } })
})
