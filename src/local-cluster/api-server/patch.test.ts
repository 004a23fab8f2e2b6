import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseJsonPath } from './json-path.ts'
import { jsonPatch, mergePatch, strategicMerge } from './patch.ts'

test.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }], // RFC 7386, appendix A
])('%j merged with %j is %j', (target, patch, merged) => {
  expect(mergePatch(target, patch)).toEqual(merged)
})

test('JSON patch moves, copies and counts in lists', () => {
  const target = { list: ['a', 'b'], 'x/y': { '~': 1 } }
  const patched = jsonPatch(target, [
    { op: 'add', path: '/list/1', value: 'n' },
    { op: 'add', path: '/list/-', value: 'z' },
    { op: 'move', from: '/x~1y/~0', path: '/moved' },
    { op: 'copy', from: '/list/0', path: '/first' },
  ])

  expect(patched).toEqual({ list: ['a', 'n', 'b', 'z'], 'x/y': {}, moved: 1, first: 'a' })
  expect(target).toEqual({ list: ['a', 'b'], 'x/y': { '~': 1 } })
  expect(() => jsonPatch(target, [{ op: 'remove', path: '/list/7' }])).toThrow('no index 7 in a list of 2')
})

test('a JSON patch that replaces the whole document does so', () => {
  expect(jsonPatch({ a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }])).toEqual({ b: 2 })
})

test('containers are merged by name, and ordered as the patch says', () => {
  const target = {
    containers: [
      { name: 'a', image: '1' },
      { name: 'b', image: '1', args: ['x', 'y'] },
    ],
  }
  const patch = {
    '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }],
    containers: [
      { name: 'c', image: '3' },
      { name: 'b', args: ['z'] },
      { name: 'a', $patch: 'delete' },
    ],
  }

  expect(strategicMerge(target, patch)).toEqual({
    containers: [
      { name: 'c', image: '3' },
      { name: 'b', image: '1', args: ['z'] },
    ],
  })
})

test('directives replace objects, keep keys and take members out of sets', () => {
  const target = {
    strategy: { type: 'RollingUpdate', rollingUpdate: {} },
    metadata: { finalizers: ['a', 'b'] },
    labels: { a: '1' },
  }
  const patch = {
    strategy: { $retainKeys: ['type'], type: 'OnDelete' },
    metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] },
    labels: { $patch: 'replace', b: '2' },
  }

  expect(strategicMerge(target, patch)).toEqual({
    strategy: { type: 'OnDelete' },
    metadata: { finalizers: ['b', 'c'] },
    labels: { b: '2' },
  })
})

test('no patch changes what it is put on', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (target, patch) => {
        const before = structuredClone(target)
        mergePatch(target, patch)
        expect(target).toEqual(before)
      },
    ),
    { numRuns: 200 },
  )
})

test.each([
  ['.status.conditions[?(@.type=="Ready")].status', 'True'],
  [".metadata.annotations['a.b/c']", 'x'],
  ['.metadata.annotations.a\\.b/c', 'x'],
  ['.list[1]', 2],
  ['.list[*]', 1],
  ['.none.at.all', undefined],
])('the path %s leads to %j', (path, value) => {
  const object = {
    metadata: { annotations: { 'a.b/c': 'x' } },
    list: [1, 2],
    status: {
      conditions: [
        { type: 'Other', status: 'False' },
        { type: 'Ready', status: 'True' },
      ],
    },
  }
  expect(parseJsonPath(path)(object)).toBe(value)
})

test('what is no path of a printer column is refused', () => {
  for (const path of ['status', '.a[', '.a[?(@.x>1)]']) expect(() => parseJsonPath(path)).toThrow('no JSONPath')
})
