import { expect, test } from '@jest/globals'
import { isOperatingError } from '../../base/errors.ts'
import type { KubeObject } from './object.ts'
import { ObjectStore } from './store.ts'

function object(name: string, value: number): KubeObject {
  const metadata = { name, namespace: 'n', uid: name, resourceVersion: '', creationTimestamp: '' }
  return { apiVersion: 'v1', kind: 'Thing', metadata, value }
}

function shown(objects: readonly KubeObject[]): string[] {
  return objects.map(({ metadata, value }) => `${metadata.name}=${value}`)
}

test('a list as of a revision undoes what came later', () => {
  const store = new ObjectStore()
  store.put('/things', object('a', 1))
  store.put('/things', object('b', 1))
  const then = store.revision
  store.put('/things', object('a', 2))
  store.remove('/things', 'n', 'b')
  store.put('/things', object('c', 1))

  expect(shown(store.list('/things'))).toEqual(['a=2', 'c=1'])
  expect(shown(store.list('/things', then))).toEqual(['a=1', 'b=1'])
})

test('a revision whose changes are forgotten is refused as expired', () => {
  const store = new ObjectStore()
  const first = Number(store.put('/things', object('a', 0)).metadata.resourceVersion)
  for (let value = 0; value < 6_000; value++) store.put('/things', object('a', value))

  expect(() => store.changesAfter('/things', first)).toThrow('Expired')
  expect(store.changesAfter('/things', store.revision - 3)).toHaveLength(3)
})

test('a watch from before a restart is refused: its changes are not saved', () => {
  const before = new ObjectStore()
  before.put('/things', object('a', 1))
  const saved = before.snapshot()
  const after = new ObjectStore(saved)

  expect(shown(after.list('/things'))).toEqual(['a=1'])
  expect(after.revision).toBeGreaterThan(before.revision)
  const error = (() => {
    try {
      return after.changesAfter('/things', saved.revision)
    } catch (thrown) {
      return thrown
    }
  })()
  expect(isOperatingError(error, 'KUBE_REFUSED') && error.facts.status).toBe(410)
})
