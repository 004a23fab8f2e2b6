import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { lauxlib, lua, lualib, to_jsstring, to_luastring } from 'fengari'
import { parse } from 'yaml'
import { conditionsOf, type Readiness, readiness, verdict } from '../../src/controllers/conditions.ts'
import { definitions } from '../../src/crds/index.ts'

const { data } = parse(readFileSync(resolve(import.meta.dirname, '../../deploy/argocd/argocd-cm.yaml'), 'utf8'))
const keys = definitions.map(({ kind }) => `resource.customizations.health.rocketmq.alt_${kind}`)

/** A value as Lua would write it. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(literal).join(',')}}`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([key, one]) => `[${JSON.stringify(key)}]=${literal(one)}`)
    .join(',')}}`
}

/** Runs the script as Argo CD does: the resource is the global obj, what it returns is its health. */
function healthOf(obj: unknown, script = data[keys[0] as string]): { status: string; message: string } {
  const state = lauxlib.luaL_newstate()
  lualib.luaL_openlibs(state)
  const failed = lauxlib.luaL_dostring(state, to_luastring(`obj = ${literal(obj)}\n${script}`))
  const text = (index: number) => to_jsstring(lua.lua_tostring(state, index) ?? new Uint8Array())
  if (failed) throw new Error(text(-1))
  lua.lua_getfield(state, -1, to_luastring('status'))
  lua.lua_getfield(state, -2, to_luastring('message'))
  const health = { status: text(-2), message: text(-1) }
  lua.lua_close(state)
  return health
}

/** A resource with the conditions that the operator writes. */
function resource(ready: Readiness, { generation, seen } = { generation: 1, seen: 1 }) {
  const verdicts = [verdict('Available', false, 'R', 'why'), ...readiness(ready)]
  const conditions = conditionsOf(verdicts, undefined, seen, 0)
  return { metadata: { name: 'mq', generation }, status: { observedGeneration: seen, conditions } }
}

const notReady = { status: 'False', reason: 'PodsNotReady', message: '1 of 2 groups serve' } as const

test.each([
  ['nobody has seen', { metadata: { generation: 1 } }, 'Progressing', 'not seen it yet'],
  ['has a status without conditions', { metadata: { generation: 1 }, status: {} }, 'Progressing', 'not seen it yet'],
  ['is coming', resource(notReady), 'Progressing', 'PodsNotReady: 1 of 2 groups serve'],
  ['is ready', resource({ ...notReady, status: 'True', reason: 'AllServing' }), 'Healthy', 'AllServing: '],
  [
    'was ready before it was changed',
    resource({ ...notReady, status: 'True' }, { generation: 2, seen: 1 }),
    'Progressing',
    'not seen the change',
  ],
  [
    'only a person can help',
    resource({ ...notReady, reason: 'InvalidSpec', isStalled: true }),
    'Degraded',
    'InvalidSpec: ',
  ],
  [
    'was stalled before it was changed',
    resource({ ...notReady, isStalled: true }, { generation: 2, seen: 1 }),
    'Progressing',
    'not seen the change',
  ],
])('a resource that %s', (_, obj, status, message) => {
  expect(healthOf(obj)).toEqual({ status, message: expect.stringContaining(message) })
})

test('every kind is judged, by the script that lies beside', () => {
  const script = readFileSync(join(import.meta.dirname, '../../deploy/argocd/health.lua'), 'utf8')

  expect(Object.keys(data)).toEqual(keys)
  expect(new Set(Object.values(data))).toEqual(new Set([script]))
})
