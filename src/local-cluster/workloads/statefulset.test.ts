import { expect, test } from '@jest/globals'
import type { Pod, StatefulSet } from './objects.ts'
import { planStatefulSet } from './statefulset.ts'

function statefulSet(spec: object): StatefulSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'mq', namespace: 'n', uid: 'u', generation: 3, resourceVersion: '1', creationTimestamp: '' },
    spec: {
      replicas: 3,
      serviceName: 'mq-headless',
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate' },
      selector: { matchLabels: { app: 'mq' } },
      template: { metadata: { labels: { app: 'mq' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      ...spec,
    },
  } as StatefulSet
}

/** The pods as the set makes them, ready or not. */
function podsOf(set: StatefulSet, ready: readonly boolean[]): Pod[] {
  const parallel = { ...set, spec: { ...set.spec, podManagementPolicy: 'Parallel' as const, replicas: ready.length } }
  const made = planStatefulSet(parallel, [], new Set()).steps.flatMap((step) =>
    step.do === 'createPod' ? [step.object] : [],
  )
  return made.map((pod, index) => {
    const conditions = [{ type: 'Ready', status: ready[index] ? 'True' : 'False' }]
    return { ...pod, status: { phase: 'Running', conditions } } as Pod
  })
}

function stepsOf(set: StatefulSet, pods: readonly Pod[]): string[] {
  return planStatefulSet(set, pods, new Set()).steps.map((step) => {
    return step.do === 'deletePod' ? `delete ${step.name}` : `${step.do} ${step.object.metadata.name}`
  })
}

test('an ordered set makes a pod when all before it are ready', () => {
  const set = statefulSet({})

  expect(stepsOf(set, [])).toEqual(['createPod mq-0'])
  expect(stepsOf(set, podsOf(set, [false]))).toEqual([])
  expect(stepsOf(set, podsOf(set, [true]))).toEqual(['createPod mq-1'])
})

test('a parallel set makes and removes all at once', () => {
  const set = statefulSet({ podManagementPolicy: 'Parallel' })

  expect(stepsOf(set, [])).toEqual(['createPod mq-0', 'createPod mq-1', 'createPod mq-2'])
  const smaller = statefulSet({ podManagementPolicy: 'Parallel', replicas: 1 })
  expect(stepsOf(smaller, podsOf(set, [true, false, true]))).toEqual(['delete mq-2', 'delete mq-1'])
})

test('an ordered set that shrinks waits for the last pod to be gone', () => {
  const set = statefulSet({ replicas: 1 })
  const pods = podsOf(set, [true, true, true])
  expect(stepsOf(set, pods)).toEqual(['delete mq-2'])

  const going = pods.map((pod, index) =>
    index < 2 ? pod : { ...pod, metadata: { ...pod.metadata, deletionTimestamp: 'now' } },
  )
  expect(stepsOf(set, going)).toEqual([])
})

test('claims come before the pod that needs them, and those that are there stay', () => {
  const set = statefulSet({ replicas: 1, volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }] })
  const { steps } = planStatefulSet(set, [], new Set())

  expect(steps.map(({ do: kind }) => kind)).toEqual(['createClaim', 'createPod'])
  expect(steps[1]).toMatchObject({
    object: {
      metadata: { labels: { 'statefulset.kubernetes.io/pod-name': 'mq-0', app: 'mq' } },
      spec: {
        hostname: 'mq-0',
        subdomain: 'mq-headless',
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-mq-0' } }],
      },
    },
  })
  expect(planStatefulSet(set, [], new Set(['data-mq-0'])).steps).toHaveLength(1)
})

test('a new template rolls from the last pod on, one at a time; OnDelete leaves old pods alone', () => {
  const pods = podsOf(statefulSet({}), [true, true, true])
  const template = { metadata: { labels: { app: 'mq' } }, spec: { containers: [{ name: 'c', image: 'new' }] } }

  const { steps, status } = planStatefulSet(statefulSet({ template }), pods, new Set())
  expect(steps).toEqual([{ do: 'deletePod', name: 'mq-2' }])
  expect(status).toMatchObject({ replicas: 3, readyReplicas: 3, updatedReplicas: 0, observedGeneration: 3 })
  expect(stepsOf(statefulSet({ template, updateStrategy: { type: 'OnDelete' } }), pods)).toEqual([])

  const last = podsOf(statefulSet({ template }), [false, false, false])[2] as Pod
  expect(stepsOf(statefulSet({ template }), [...pods.slice(0, 2), last])).toEqual([])
})

test('a template whose keys come in another order is the same template', () => {
  const containers = [{ name: 'c', image: 'i' }]
  const pods = podsOf(statefulSet({}), [true, true, true])

  expect(
    stepsOf(statefulSet({ template: { spec: { containers }, metadata: { labels: { app: 'mq' } } } }), pods),
  ).toEqual([])
})
