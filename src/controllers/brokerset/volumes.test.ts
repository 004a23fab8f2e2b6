import { expect, test } from '@jest/globals'
import type { PersistentVolumeClaim, StorageClass } from '../../kube/index.ts'
import { brokerSet } from '../testing/resources.ts'
import { planVolumes } from './volumes.ts'

const desired = brokerSet({ groups: 2, storage: { size: '20Gi' } })

function claim(name: string, requested: string, capacity?: string, conditions: object[] = []): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'shop' },
    spec: { storageClassName: 'fast', resources: { requests: { storage: requested } } },
    status: { ...(capacity && { capacity: { storage: capacity } }), conditions },
  } as PersistentVolumeClaim
}

const fast = (allowVolumeExpansion?: boolean) =>
  ({ metadata: { name: 'fast' }, provisioner: 'x', allowVolumeExpansion }) as unknown as StorageClass

function look(claims: PersistentVolumeClaim[], classes: StorageClass[] = [fast(true)], resource = desired) {
  const { steps, verdict, notes, settled } = planVolumes(resource, [0, 1], { claims, classes })
  return {
    verdict,
    resized: steps.map(({ claim, size }) => `${claim.metadata.name} ${size}`),
    events: notes.map(({ reason }) => reason),
    settled: [0, 1].map(settled),
  }
}

/** The set after it said this. */
function told(verdict: ReturnType<typeof look>['verdict']) {
  const conditions = [{ ...verdict, observedGeneration: 1, lastTransitionTime: '' }]
  return { ...desired, status: { conditions } }
}

test('claims that ask for less grow; those that have as much or more, in whatever unit, are left alone', () => {
  const found = look([claim('data-b-0-0', '10Gi', '10Gi'), claim('data-b-1-0', '30G', '30G')])

  expect(found.resized).toEqual(['data-b-0-0 20Gi'])
  expect(found.verdict).toMatchObject({ status: 'False', reason: 'Resizing' })
  expect(found.events).toEqual(['VolumeExpansionRequested'])
  expect(found.settled).toEqual([false, true])
})

test('a volume that is growing is waited for, and what holds it up is said', () => {
  const pending = { type: 'FileSystemResizePending', status: 'True', message: 'waiting for a pod' }
  const growing = look([claim('data-b-0-0', '20Gi', '10Gi', [pending]), claim('data-b-1-0', '20Gi', '20Gi')])

  expect(growing.resized).toEqual([])
  expect(growing.verdict.message).toContain('data-b-0-0 (FileSystemResizePending: waiting for a pod: its pod')
  expect(growing.settled).toEqual([false, true])
  const after = look(
    [claim('data-b-0-0', '20Gi', '20Gi'), claim('data-b-1-0', '20Gi', '20Gi')],
    [],
    told(growing.verdict),
  )
  expect(after).toMatchObject({ verdict: { status: 'True', reason: 'AllResized' }, settled: [true, true] })
  expect(after.events).toEqual(['VolumeExpansionCompleted'])
})

test('a class that allows no expansion is not asked for it, and the condition names it, with an event once', () => {
  const claims = [claim('data-b-0-0', '10Gi', '10Gi'), claim('data-b-1-0', '20Gi', '20Gi')]

  const refused = look(claims, [fast()])

  expect(refused.resized).toEqual([])
  expect(refused.verdict).toMatchObject({ status: 'False', reason: 'ExpansionNotAllowed' })
  expect(refused.verdict.message).toContain('data-b-0-0 (StorageClass fast)')
  expect(refused.events).toEqual(['VolumeExpansionFailed'])
  expect(look(claims, [fast()], told(refused.verdict)).events).toEqual([])
})

test('a volume that does not exist yet, or is being made, does not grow; the first is looked for again', () => {
  const found = look([claim('data-b-0-0', '20Gi')])

  expect(found).toMatchObject({ resized: [], verdict: { status: 'True' }, settled: [true, false] })
})

test('claims that cannot be listed are no reason to stop', () => {
  const { steps, verdict, settled } = planVolumes(desired, [0], { trouble: 'forbidden' })

  expect([steps, verdict.status, settled(0)]).toEqual([[], 'False', false])
})
