// Reasons of events are a contract: what controllers tell is in the documentation, and the documentation names nothing else.
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from '@jest/globals'

const root = resolve(import.meta.dirname, '../..')

/** Where a reason is written down: whoever tells of it spells it. */
const spellings = [
  /\b(?:note|tell|late)\(\s*'([A-Z]\w+)'/g,
  /type: '(?:Normal|Warning)'(?: as const)?,\s*reason: '([A-Z]\w+)'/g,
  /const reason = \w+ \? '(Rollout\w+)' : '(Rollout\w+)'/g,
]

function controllerTexts(): string[] {
  const files = globSync('src/controllers/**/*.ts', { cwd: root })
  return files
    .filter((file) => !/\.test\.ts$|\/testing\//.test(file))
    .map((file) => readFileSync(join(root, file), 'utf8'))
}

function toldByControllers(): Set<string> {
  const found = controllerTexts().flatMap((text) => spellings.flatMap((spelling) => [...text.matchAll(spelling)]))
  return new Set(found.flatMap(([, ...reasons]) => reasons))
}

/** Whether the word is one that controllers spell, as a whole or behind the kind that they tell of. */
function isSpelled(reason: string): boolean {
  const [, kindless] = /^(?:Topic|ConsumerGroup|OffsetReset)(\w+)$/.exec(reason) ?? []
  return controllerTexts().some((text) => text.includes(`'${reason}'`) || (kindless && text.includes(`}${kindless}\``)))
}

function documented(): Set<string> {
  const text = readFileSync(join(root, 'docs/lifecycle.md'), 'utf8')
  const table = text.slice(text.indexOf('\n## Events\n')).split('\n## ')[1] ?? ''
  const cells = table.split('\n').flatMap((line) => (line.startsWith('| `') ? [line.split('|')[1] ?? ''] : []))
  return new Set(cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, reason]) => reason as string)))
}

test('every event that controllers tell is documented', () => {
  const told = toldByControllers()

  expect(told.size).toBeGreaterThan(30)
  expect([...told].filter((reason) => !documented().has(reason))).toEqual([])
})

test('what is documented as an event is one', () => {
  expect([...documented()].filter((reason) => !isSpelled(reason))).toEqual([])
})
