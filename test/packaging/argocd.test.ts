import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { Environment } from '@marcbachmann/cel-js'
import { lauxlib, lua, lualib, to_jsstring, to_luastring } from 'fengari'
import { parse } from 'yaml'
import { conditionsOf, pausable, type Readiness, readiness, verdict } from '../../src/controllers/conditions.ts'
import { asleepVerdicts, type Sleep, sleepVerdict } from '../../src/controllers/hibernation.ts'
import { group, look } from '../../src/controllers/testing/broker-set.ts'
import { brokerSet } from '../../src/controllers/testing/resources.ts'
import { annotation, definitions } from '../../src/crds/index.ts'

const directory = resolve(import.meta.dirname, '../../deploy/argocd')
const { data } = parse(readFileSync(join(directory, 'argocd-cm.yaml'), 'utf8'))
const healthKeys = definitions.map(({ kind }) => `resource.customizations.health.rocketmq.alt_${kind}`)
const actionsKeys = definitions.map(({ kind }) => `resource.customizations.actions.rocketmq.alt_${kind}`)
const health: string = data[healthKeys[0] as string]
const actions: { 'discovery.lua': string; definitions: { name: string; 'action.lua': string }[] } = parse(
  data[actionsKeys[0] as string],
)

/** A value as Lua would write it. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(literal).join(',')}}`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([key, one]) => `[${JSON.stringify(key)}]=${literal(one)}`)
    .join(',')}}`
}

/** Writes a Lua value as JSON; a table without a first item is an object. */
const toJson = `
local function json(value)
  if type(value) ~= "table" then
    return type(value) == "string" and string.format("%q", value) or tostring(value)
  end
  local parts = {}
  if value[1] ~= nil then
    for _, item in ipairs(value) do table.insert(parts, json(item)) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do table.insert(parts, json(key) .. ":" .. json(item)) end
  return "{" .. table.concat(parts, ",") .. "}"
end
return json(returned)`

/**
 * Runs a script as Argo CD does: the resource is the global obj, there are the basic functions, tables, and of the time what
 * `require("os")` has; no strings.
 * @returns what the script returns
 */
function run(script: string, obj: unknown): unknown {
  const state = lauxlib.luaL_newstate()
  const topText = () => to_jsstring(lua.lua_tostring(state, -1) ?? new Uint8Array())
  const open = (name: string, library: Parameters<typeof lauxlib.luaL_requiref>[2], isGlobal: boolean) =>
    lauxlib.luaL_requiref(state, to_luastring(name), library, isGlobal ? 1 : 0)
  const call = (text: string) => {
    if (lauxlib.luaL_dostring(state, to_luastring(text))) throw new Error(topText())
  }
  open('_G', lualib.luaopen_base, true)
  open('package', lualib.luaopen_package, true)
  open('table', lualib.luaopen_table, true)
  open('os', lualib.luaopen_os, false)
  call(`obj = ${literal(obj)}`)
  call(script)
  lua.lua_setglobal(state, to_luastring('returned'))
  open('string', lualib.luaopen_string, true) // for us
  call(toJson)
  const json = topText()
  lua.lua_close(state)
  return JSON.parse(json)
}

/** A resource with the conditions that the operator writes. */
function resource(
  ready: Readiness,
  { generation, seen } = { generation: 1, seen: 1 },
  { isPaused = false, sleep = { is: 'awake' } }: { isPaused?: boolean; sleep?: Sleep } = {},
) {
  const verdicts =
    sleep.is === 'asleep'
      ? asleepVerdicts(sleep, ['Available'])
      : [verdict('Available', false, 'R', 'why'), ...readiness(ready)]
  const conditions = conditionsOf(pausable(isPaused, [...verdicts, sleepVerdict(sleep)]), undefined, seen, 0)
  return { metadata: { name: 'mq', generation }, status: { observedGeneration: seen, conditions } }
}

/** A BrokerSet with more groups than it is to have. */
function pausedWithTooMany() {
  const { verdicts } = look(brokerSet({ groups: 1, paused: true }), [group(0), group(1)])
  return {
    metadata: { generation: 1 },
    status: { conditions: conditionsOf(pausable(true, verdicts), undefined, 1, 0) },
  }
}

const notReady = { status: 'False', reason: 'PodsNotReady', message: '1 of 2 groups serve' } as const
const isReady = { status: 'True', reason: 'AllServing', message: '2 of 2 groups serve' } as const
const now = { generation: 1, seen: 1 }
const asleep = { is: 'asleep', pods: [], what: 'no broker runs' } as const

test.each([
  ['nobody has seen', { metadata: { generation: 1 } }, 'Progressing', 'not seen it yet'],
  ['has a status without conditions', { metadata: { generation: 1 }, status: {} }, 'Progressing', 'not seen it yet'],
  ['is coming', resource(notReady), 'Progressing', 'PodsNotReady: 1 of 2 groups serve'],
  ['is ready', resource(isReady), 'Healthy', 'AllServing: '],
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
  ['is paused', resource(isReady, now, { isPaused: true }), 'Suspended', 'Asked: spec.paused'],
  ['is paused and not ready', resource(notReady, now, { isPaused: true }), 'Suspended', 'Asked: spec.paused'],
  [
    'is paused where only a person can help',
    resource({ ...notReady, reason: 'AdoptionConflict', isStalled: true }, now, { isPaused: true }),
    'Degraded',
    'AdoptionConflict: ',
  ],
  ['is paused with too many groups', pausedWithTooMany(), 'Suspended', 'Asked: spec.paused'],
  ['hibernates', resource(notReady, now, { sleep: asleep }), 'Suspended', 'Asked: spec.hibernate'],
  [
    'goes to sleep',
    resource(notReady, now, { sleep: { ...asleep, pods: ['mq-brokers-0-0'] } }),
    'Progressing',
    'Stopping: still there: mq-brokers-0-0',
  ],
  [
    'is to wake',
    resource(notReady, { generation: 2, seen: 1 }, { sleep: asleep }),
    'Progressing',
    'not seen the change',
  ],
  [
    'may not hibernate, since others need it',
    resource(isReady, now, { sleep: { is: 'refused', message: 'BrokerSet shop is awake' } }),
    'Healthy',
    'AllServing: ',
  ],
  [
    'has brokers that hibernate',
    resource({ status: 'Unknown', reason: 'ClusterHibernated', message: 'BrokerSet shop hibernates' }),
    'Suspended',
    'ClusterHibernated: ',
  ],
])('a resource that %s', (_, obj, status, message) => {
  expect(run(health, obj)).toEqual({ status, message: expect.stringContaining(message) })
})

/** What Argo CD offers for a resource, and does not refuse. */
function offered(kind: string, spec: object): string[] {
  const found = run(actions['discovery.lua'], { kind, metadata: { name: 'mq' }, spec }) as Record<
    string,
    { disabled: boolean }
  >
  return Object.keys(found)
    .filter((name) => found[name]?.disabled === false)
    .sort()
}

function act(name: string, obj: object): unknown {
  const script = actions.definitions.find((one) => one.name === name)?.['action.lua'] as string
  return run(script, obj)
}

test.each([
  ['BrokerSet', { groups: 1, paused: false }, ['pause', 'restart']],
  ['NameServer', { replicas: 2 }, ['pause', 'restart']],
  ['BrokerSet', { paused: true }, ['resume']],
  ['BrokerSet', { hibernate: true, paused: false }, ['pause']],
  ['Topic', { paused: false }, ['pause']],
  ['ConsumerGroup', { paused: true }, ['resume']],
])('what can be done with a %s %j', (kind, spec, names) => {
  expect(offered(kind, spec)).toEqual(names)
})

test('every action that is offered is there, and has a script', () => {
  const found = run(actions['discovery.lua'], { kind: 'BrokerSet', metadata: {}, spec: { groups: 1 } }) as object

  expect(actions.definitions.map(({ name }) => name).sort()).toEqual(Object.keys(found).sort())
})

test('restart gives the annotation another value, and leaves the others', () => {
  const spec = { groups: 2, storage: { size: '20Gi' } }
  const bare = { kind: 'BrokerSet', metadata: { name: 'mq' }, spec }
  const annotated = { ...bare, metadata: { name: 'mq', annotations: { mine: 'stays', [annotation.restartAt]: 'old' } } }
  const time = expect.stringMatching(/^!?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) // fengari leaves the ! of UTC where it is

  expect(act('restart', bare)).toEqual({
    ...bare,
    metadata: { name: 'mq', annotations: { [annotation.restartAt]: time } },
  })
  expect(act('restart', annotated)).toEqual({
    ...bare,
    metadata: { name: 'mq', annotations: { mine: 'stays', [annotation.restartAt]: time } },
  })
})

test('pause and resume', () => {
  const topic = { kind: 'Topic', metadata: { name: 'orders' }, spec: { ordered: true } }

  const paused = act('pause', topic)

  expect(paused).toEqual({ ...topic, spec: { ordered: true, paused: true } })
  expect(act('resume', paused as object)).toEqual({ ...topic, spec: { ordered: true, paused: false } })
})

test('every kind is judged and has actions, by the scripts that lie beside', () => {
  const script = (path: string) => readFileSync(join(directory, path), 'utf8')

  expect(Object.keys(data).sort()).toEqual([...healthKeys, ...actionsKeys].sort())
  expect(new Set(healthKeys.map((key) => data[key]))).toEqual(new Set([script('health.lua')]))
  expect(new Set(actionsKeys.map((key) => data[key])).size).toBe(1)
  expect(actions['discovery.lua']).toBe(script('actions/discovery.lua'))
  for (const { name, 'action.lua': text } of actions.definitions) expect(text).toBe(script(`actions/${name}.lua`))
})

test.each([
  ['is coming', resource(notReady), 'inProgress'],
  ['is ready', resource(isReady), 'current'],
  ['was ready before it was changed', resource(isReady, { generation: 2, seen: 1 }), 'inProgress'],
  ['needs a person', resource({ ...notReady, isStalled: true }), 'failed'],
  ['is paused', resource(notReady, now, { isPaused: true }), 'current'],
  ['hibernates', resource(notReady, now, { sleep: asleep }), 'current'],
  ['goes to sleep', resource(notReady, now, { sleep: { ...asleep, pods: ['mq-brokers-0-0'] } }), 'inProgress'],
  ['has brokers that hibernate', resource({ ...notReady, status: 'Unknown', reason: 'ClusterHibernated' }), 'current'],
])(
  'to Flux, with the healthCheckExprs of docs/gitops.md, a resource that %s is %s',
  (_, { metadata, status }, found) => {
    const page = readFileSync(resolve(directory, '../../docs/gitops.md'), 'utf8')
    const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? '')
    const [exprs] = parse(blocks.find((text) => text.includes('healthCheckExprs')) ?? '').spec.healthCheckExprs
    const environment = new Environment().registerVariable('metadata', 'dyn').registerVariable('status', 'dyn')
    const holds = (name: string) => environment.parse(exprs[name])({ metadata, status })

    const first = ['inProgress', 'failed', 'current'].find((name) => holds(name) === true) // Flux's order

    expect(first ?? 'inProgress').toBe(found)
  },
)
