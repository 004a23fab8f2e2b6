import { expect, test } from '@jest/globals'
import { unreadiness } from './resources.ts'

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
