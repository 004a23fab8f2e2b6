import { expect, test } from '@jest/globals'
import { covers, withDigest } from './perform.ts'

const live = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'mq', uid: '1', labels: { a: '1', b: '2' } },
  spec: { clusterIP: '10.0.0.1', ports: [{ port: 9876, protocol: 'TCP', nodePort: 0 }], sessionAffinity: 'None' },
}

test('what the API server fills in is no difference', () => {
  expect(covers(live, { metadata: { name: 'mq', labels: { a: '1' } }, spec: { ports: [{ port: 9876 }] } })).toBe(true)
})

test.each([
  ['another value', { spec: { ports: [{ port: 1 }] } }],
  ['a field that is missing', { spec: { type: 'ClusterIP' } }],
  ['one item more', { spec: { ports: [{ port: 9876 }, { port: 1 }] } }],
  ['one item less', { spec: { ports: [] } }],
  ['another shape', { spec: { ports: { port: 9876 } } }],
])('%s is a difference', (_, wanted) => {
  expect(covers(live, wanted)).toBe(false)
})

test('a field that is no longer wanted changes the digest', () => {
  const before = withDigest({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'mq', labels: { a: '1', b: '2' } } })
  const after = withDigest({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'mq', labels: { a: '1' } } })

  expect(covers(before, before)).toBe(true)
  expect(covers(before, after)).toBe(false)
})
