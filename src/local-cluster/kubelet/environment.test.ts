import { expect, test } from '@jest/globals'
import type { Container, Pod } from '../workloads/objects.ts'
import { expand, mapPaths, variablesOf } from './environment.ts'

const mounts = [
  { mountPath: '/data', folder: '/real/data' },
  { mountPath: '/data/log', folder: '/real/log' },
  { mountPath: '/tmp', folder: '/real/tmp' },
]

test.each([
  ['/data', '/real/data'],
  ['--set=path=/data/store', '--set=path=/real/data/store'],
  ['/data/log/x', '/real/log/x'],
  ['/data/logs', '/real/data/logs'],
  ['/database', '/database'],
  ['/srv/data', '/srv/data'],
  ['a=/tmp:b=/data', 'a=/real/tmp:b=/real/data'],
])('paths in %s lead into the folders of volumes', (text, mapped) => {
  expect(mapPaths(text, mounts)).toBe(mapped)
})

test('a mount at a path with special characters is no pattern', () => {
  expect(mapPaths('/a.b/c /axb/c', [{ mountPath: '/a.b', folder: '/f' }])).toBe('/f/c /axb/c')
})

test('variables are expanded as Kubernetes does', () => {
  const variables = { POD_IP: '127.64.16.1' }

  expect(expand('bindAddress=$(POD_IP)', variables)).toBe('bindAddress=127.64.16.1')
  expect(expand('$$(POD_IP) $(UNKNOWN) $POD_IP', variables)).toBe('$(POD_IP) $(UNKNOWN) $POD_IP')
})

test('variables come from the pod, from ConfigMaps and from those before them', () => {
  const container: Container = {
    name: 'c',
    image: 'i',
    envFrom: [{ prefix: 'X_', configMapRef: { name: 'settings' } }],
    env: [
      { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'GROUP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['group']" } } },
      { name: 'BOTH', value: '$(NAME)/$(X_a)' },
      { name: 'MAYBE', valueFrom: { secretKeyRef: { name: 'none', key: 'k', optional: true } } },
    ],
  }
  const pod = { metadata: { name: 'p', labels: { group: 'g' } }, spec: { containers: [container] } } as unknown as Pod
  const read = (kind: string, name: string) =>
    kind === 'configMap' && name === 'settings' ? { a: Buffer.from('1') } : undefined

  expect(variablesOf(pod, container, read)).toEqual({ X_a: '1', NAME: 'p', GROUP: 'g', BOTH: 'p/1' })
  const needy = { ...container, env: [{ name: 'K', valueFrom: { secretKeyRef: { name: 'none', key: 'k' } } }] }
  expect(() => variablesOf(pod, needy, read)).toThrow("couldn't find key k in secret none")
})
