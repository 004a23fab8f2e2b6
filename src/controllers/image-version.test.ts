import { expect, test } from '@jest/globals'
import type { Pod } from '../kube/index.ts'
import { versionInUse, versionOf } from './image-version.ts'

test.each([
  ['rocketmq-operator:0.1.0', '0.1.0'],
  ['localhost:5000/mq/rocketmq-operator:0.1.0', '0.1.0'],
  ['localhost:5000/mq/rocketmq-operator', 'latest'],
  ['registry/rocketmq-operator:0.1.0@sha256:0123456789abcdef', '0.1.0'],
  ['localhost:5000/rocketmq-operator@sha256:0123456789abcdef', 'sha256:0123456789ab'],
])('the version of %s is %s', (image, version) => {
  expect(versionOf(image)).toBe(version)
})

test('pods run the former version until the last of them has the one that is wanted', () => {
  const pods = (...tags: string[]) =>
    tags.map((tag) => ({ spec: { containers: [{ name: 'broker', image: `mq:${tag}` }] } }) as Pod)

  expect(versionInUse(pods(), '2')).toBeUndefined()
  expect(versionInUse(pods('1', '1'), '2')).toBe('1')
  expect(versionInUse(pods('2', '1'), '2')).toBe('1')
  expect(versionInUse(pods('1', '2'), '2')).toBe('1')
  expect(versionInUse(pods('2', '2'), '2')).toBe('2')
  for (const found of [pods('0', '1'), pods('1', '0')]) expect(versionInUse(found, '2')).toBe('0') // whatever the order of pods
})

test.each(['broker', 'namesrv'])('a container that something put before that of the %s does not count', (name) => {
  const containers = [
    { name: 'proxy', image: 'proxy:9' },
    { name, image: 'mq:1' },
  ]

  expect(versionInUse([{ spec: { containers } } as Pod], '2')).toBe('1')
})
