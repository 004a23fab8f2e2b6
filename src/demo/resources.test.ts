import { expect, test } from '@jest/globals'
import type { BrokerSetStatus, ConsumerGroupStatus, NameServerStatus, TopicStatus } from '../crds/index.ts'
import { describe, unreadiness } from './resources.ts'

function object(generation: number, condition?: object) {
  const conditions =
    condition === undefined
      ? []
      : [{ type: 'Ready', lastTransitionTime: '', reason: 'R', message: 'why', ...condition }]
  return { apiVersion: 'v', kind: 'K', metadata: { name: 'n', generation }, status: { conditions } } as never
}

test.each([
  ['nothing', undefined, 'not there yet'],
  ['an object nobody has seen', object(1), 'not seen by the operator yet'],
  ['readiness of an older spec', object(2, { status: 'True', observedGeneration: 1 }), 'a change is under way'],
  ['a reason', object(2, { status: 'False', observedGeneration: 2 }), 'R: why'],
  ['readiness of this spec', object(2, { status: 'True', observedGeneration: 2 }), undefined],
])('%s', (_, found, words) => {
  expect(unreadiness(found)).toBe(words)
})

test('what is ready is described by the numbers of its status', () => {
  const described = (kind: string, status: object) =>
    describe({ apiVersion: 'v', kind, metadata: { name: 'n' }, status })
  const brokers = { desired: 2, synced: 2 }

  expect(described('NameServer', { replicas: 2, readyReplicas: 2 } satisfies NameServerStatus)).toBe('2 of 2 pods')
  expect(described('BrokerSet', { groups: 2, readyGroups: 2 } satisfies BrokerSetStatus)).toBe(
    '2 of 2 broker groups registered',
  )
  expect(described('Topic', { queues: { write: 8, read: 8 }, brokers } satisfies TopicStatus)).toBe('8 queues')
  expect(described('ConsumerGroup', { brokers } satisfies ConsumerGroupStatus)).toBe('on 2 of 2 brokers')
})
