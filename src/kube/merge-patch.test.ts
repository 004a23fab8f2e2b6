import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { mergePatch } from './merge-patch.ts'

test('equal values need no patch', () => {
  expect(mergePatch({ a: { b: [1] } }, { a: { b: [1] } })).toBeUndefined()
})

test('a patch names what changed, a null what goes, and a list whole', () => {
  const before = { kept: 1, gone: { deep: 1 }, deep: { kept: 1, changed: 1, gone: 1 }, list: [1, 2] }
  const after = { kept: 1, deep: { kept: 1, changed: 2 }, list: [1], more: {} }

  expect(mergePatch(before, after)).toEqual({ gone: null, deep: { changed: 2, gone: null }, list: [1], more: {} })
})

test('the patch makes the one of the other, whatever they are', () => {
  const value = fc.letrec((tie) => ({
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('any'), { noNullPrototype: true }),
    any: fc.oneof({ maxDepth: 3 }, fc.integer(), fc.string(), fc.array(fc.integer()), tie('object')),
  })).object
  fc.assert(
    fc.property(value, value, (before, after) => {
      const patch = mergePatch(before, after)

      expect(patch === undefined ? before : applied(before, patch)).toEqual(after)
    }),
  )
})

/** RFC 7386, section 2. */
function applied(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target)
  const result: Record<string, unknown> = isObject ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = applied(result[key], value)
  }
  return result
}
