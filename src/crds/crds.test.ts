import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { checkRules } from '../local-cluster/api-server/cel.ts'
import { crdProblems } from '../local-cluster/api-server/custom-resource.ts'
import { type Schema, validate } from '../local-cluster/api-server/schema.ts'
import { otherBrokerKeys, otherNamesrvKeys } from '../tunables/apache-keys.ts'
import { brokerSchema } from '../tunables/broker.ts'
import { namesrvSchema } from '../tunables/index.ts'
import { brokerOwnedKeys } from './broker-set.ts'
import { customResourceDefinition, definitions } from './index.ts'
import { nameServerOwnedKeys } from './name-server.ts'

const crds = definitions.map(customResourceDefinition)

interface Sample {
  kind: string
  metadata: { name: string }
  spec: Record<string, unknown>
}

function samplesIn(file: string): Sample[] {
  const text = readFileSync(join(import.meta.dirname, '../../deploy/samples', file), 'utf8')
  return parseAllDocuments(text).map((document) => document.toJS())
}

const samples = samplesIn('quickstart.yaml')

function sample(kind: string): Sample {
  return structuredClone(samples.find((one) => one.kind === kind) as Sample)
}

/** What an API server says about an object, or about its change from `old`. */
function problemsOf(object: Sample, old?: Sample): string[] {
  const crd = crds.find(({ spec }) => spec.names.kind === object.kind)
  const schema = crd?.spec.versions[0]?.schema.openAPIV3Schema as unknown as Schema
  return [...validate(schema, object), ...checkRules(schema, object, old)].map(({ message }) => message)
}

/** What its rules alone say, without the schema of what stands in it. */
function checkedAgainst(object: Sample, old: Sample): string[] {
  const crd = crds.find(({ spec }) => spec.names.kind === object.kind)
  const schema = crd?.spec.versions[0]?.schema.openAPIV3Schema as unknown as Schema
  return checkRules(schema, object, old).map(({ message }) => message)
}

function withSpec(object: Sample, spec: object): Sample {
  return { ...object, spec: { ...object.spec, ...spec } }
}

test.each(crds.map((crd): [string, (typeof crds)[number]] => [crd.metadata.name, crd]))(
  '%s is well formed',
  (_, crd) => {
    expect(crdProblems(crd as never)).toEqual([])
    expect(JSON.stringify(crd).length).toBeLessThan(120_000)
  },
)

test('a column, and the scale subresource, shows a field that there is, and looks for values that it may have', () => {
  const paths = crds.flatMap(({ spec }) =>
    spec.versions.flatMap(({ schema, additionalPrinterColumns, subresources }) => {
      const { specReplicasPath, statusReplicasPath } = (subresources as { scale?: Record<string, string> }).scale ?? {}
      const columns = additionalPrinterColumns.map(({ jsonPath }) => jsonPath)
      return [...columns, ...[specReplicasPath, statusReplicasPath].flatMap((path) => path ?? [])].map(
        (path) => [path, schema.openAPIV3Schema as unknown as Schema] as const,
      )
    }),
  )
  const wrong = paths
    .filter(([path]) => !path.startsWith('.metadata.'))
    .filter(([path, schema]) => !leads(path, schema))
  expect(wrong.map(([path]) => path)).toEqual([])
})

/** Whether a path of names and of one choice in a list, as in `.a[?(@.b=="c")].d`, leads to a field. */
function leads(path: string, schema: Schema): boolean {
  let at: Schema | undefined = schema
  for (const [, name, key, value] of path.matchAll(/\.(\w+)|\[\?\(@\.(\w+)=="(\w+)"\)\]/g)) {
    if (name !== undefined) at = at?.properties?.[name]
    else {
      const chosen: Schema | undefined = at?.items?.properties?.[key ?? '']
      at = chosen && (chosen.enum?.includes(value) ?? true) ? at?.items : undefined
    }
  }
  return at !== undefined
}

test('every field is explained', () => {
  const silent: string[] = []
  const visit = (schema: Record<string, unknown>, path: string) => {
    if (schema.description === undefined || schema.description === '') silent.push(path)
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      visit(field as Record<string, unknown>, `${path}.${name}`)
    }
    const items = schema.items as { properties?: object } | undefined
    for (const [name, field] of Object.entries(items?.properties ?? {})) visit(field, `${path}[].${name}`)
  }
  for (const crd of crds) {
    const { spec, status } = crd.spec.versions[0]!.schema.openAPIV3Schema.properties
    visit(spec, `${crd.spec.names.kind}.spec`)
    visit(status, `${crd.spec.names.kind}.status`)
  }
  expect(silent).toEqual([])
})

test('the samples are valid, and so is the smallest of each kind', () => {
  expect(samples.map(({ kind }) => kind)).toEqual(['NameServer', 'BrokerSet', 'Topic', 'ConsumerGroup'])
  for (const one of [...samples, ...samplesIn('replicated.yaml')])
    expect([one.kind, problemsOf(one)]).toEqual([one.kind, []])
  expect(problemsOf({ ...sample('NameServer'), spec: {} })).toEqual([])
})

test.each<[string, string, object, string]>([
  ['too many NameServers', 'NameServer', { replicas: 10 }, '9'],
  ['a NameServer setting of ours', 'NameServer', { config: { listenPort: '1' } }, 'the operator sets these itself'],
  ['a broker setting of ours', 'BrokerSet', { config: { brokerId: '1' } }, 'the operator sets these itself'],
  ['no NameServer at all', 'BrokerSet', { nameServerRef: undefined }, 'exactly one of'],
  ['two ways to NameServers', 'BrokerSet', { externalNameServers: ['ns:9876'] }, 'exactly one of'],
  ['an address without a port', 'BrokerSet', { nameServerRef: undefined, externalNameServers: ['ns'] }, 'match'],
  ['no group', 'BrokerSet', { groups: 0 }, '1'],
  ['Sync without a slave', 'BrokerSet', { replication: { mode: 'Sync' } }, 'needs slavesPerGroup'],
  [
    'more members in sync than there are',
    'BrokerSet',
    { slavesPerGroup: 1, replication: { mode: 'Sync', minInSync: 3 } },
    'at most slavesPerGroup + 1',
  ],
  ['members in sync without Sync', 'BrokerSet', { slavesPerGroup: 1, replication: { minInSync: 2 } }, 'goes with mode'],
  ['a cluster name with a blank', 'BrokerSet', { clusterName: 'a b' }, 'match'],
  ['hibernation without volumes', 'BrokerSet', { hibernate: true, storage: { ephemeral: true } }, 'would be lost'],
  ['a drain shorter than producers need', 'BrokerSet', { scaleIn: { timeoutSeconds: 10 } }, '60'],
  ['a topic of RocketMQ itself', 'Topic', { topicName: 'TBW102' }, 'keeps these for itself'],
  ['a retry topic', 'Topic', { topicName: '%RETRY%billing' }, 'keeps these for itself'],
  ['no queue', 'Topic', { queues: { perBroker: 0 } }, '1'],
  ['two counts of queues', 'Topic', { queues: { perBroker: 4, write: 4, read: 4 } }, 'either perBroker, or'],
  ['queues to write without those to read', 'Topic', { queues: { write: 4 } }, 'either perBroker, or'],
  ['queues that nobody may read', 'Topic', { queues: { write: 4, read: 3 } }, 'write is at most read'],
  ['a selector without From', 'BrokerSet', { allowedNamespaces: { from: 'All', selector: {} } }, 'selector goes with'],
  ['no selector', 'NameServer', { allowedNamespaces: { from: 'Selector' } }, 'selector goes with'],
  [
    'a selector that compares with nothing',
    'BrokerSet',
    { allowedNamespaces: { from: 'Selector', selector: { matchExpressions: [{ key: 'a', operator: 'In' }] } } },
    'with operator In',
  ],
  ['a namespace with a dot', 'Topic', { brokerSetRef: { name: 'b', namespace: 'a.b' } }, 'match'],
  ['a placement nowhere', 'Topic', { placement: { groups: [] } }, '1'],
  ['a placement twice', 'Topic', { placement: { groups: [1, 1] } }, 'uplicate'],
  ['a group of RocketMQ itself', 'ConsumerGroup', { groupName: 'CID_RMQ_SYS_TRANS' }, 'keeps these for itself'],
  ['a group name too long for a retry topic', 'ConsumerGroup', { groupName: 'g'.repeat(121) }, '120'],
  ['a reset to no time', 'ConsumerGroup', { resetOffset: { requestId: 'a', to: 'Timestamp' } }, 'timestamp goes with'],
  [
    'a reset to a time and the end',
    'ConsumerGroup',
    { resetOffset: { requestId: 'a', to: 'Latest', timestamp: '2026-01-01T00:00:00Z' } },
    'timestamp goes with',
  ],
  ['a size that is no quantity', 'BrokerSet', { storage: { size: '20 GB' } }, 'match'],
  ['memory that is no quantity', 'NameServer', { resources: { limits: { memory: 'much' } } }, 'match'],
  ['an unknown permission', 'Topic', { permission: 'Everything' }, 'ReadWrite'],
])('%s is refused', (_, kind, spec, says) => {
  const object = JSON.parse(JSON.stringify(withSpec(sample(kind), spec)))

  expect(problemsOf(object).join('\n')).toContain(says)
})

test('a group with two slaves of which one must have each message is well formed', () => {
  const spec = { slavesPerGroup: 2, replication: { mode: 'Sync', minInSync: 2 } }

  expect(problemsOf(withSpec(sample('BrokerSet'), spec))).toEqual([])
})

test.each<[string, string, object, string]>([
  ['clusterName', 'BrokerSet', { clusterName: 'other' }, 'clusterName cannot be changed'],
  ['a smaller storage size', 'BrokerSet', { storage: { size: '1Gi' } }, 'never shrinks'],
  ['the storage class', 'BrokerSet', { storage: { size: '2Gi', className: 'fast' } }, 'cannot be changed'],
  ['topicName', 'Topic', { topicName: 'other' }, 'topicName cannot be changed'],
  ['groupName', 'ConsumerGroup', { groupName: 'other' }, 'groupName cannot be changed'],
  ['brokerSetRef', 'Topic', { brokerSetRef: { name: 'other' } }, 'brokerSetRef cannot be changed'],
  [
    'the namespace of brokerSetRef',
    'Topic',
    { brokerSetRef: { name: 'mq-brokers', namespace: 'other' } },
    'brokerSetRef cannot be changed',
  ],
])('%s cannot be changed', (_, kind, spec, says) => {
  const old = sample(kind)

  expect(problemsOf(old, old)).toEqual([])
  expect(problemsOf(withSpec(old, spec), old).join('\n')).toContain(says)
})

test('brokers that are ready keep their NameServer; a name that was wrong can be corrected', () => {
  const ready = (status: string) => ({ ...sample('BrokerSet'), status: { conditions: [{ type: 'Ready', status }] } })
  const problems = (old: Sample, spec: object) => checkedAgainst(withSpec(old, spec), old)
  const other = { nameServerRef: { name: 'other' } }

  const abroad = { nameServerRef: { name: 'mq', namespace: 'other' } }
  for (const spec of [other, abroad])
    expect(problems(ready('True'), spec)).toEqual([expect.stringContaining('nameServerRef cannot be changed, neither')])
  expect(problems(ready('True'), { groups: 3 })).toEqual([])
  expect(problems(ready('True'), { nameServerRef: undefined, externalNameServers: ['a:9876'] })).toEqual([])
  expect(problems(ready('False'), other)).toEqual([])
  expect(problems(sample('BrokerSet'), other)).toEqual([])
})

test.each(['Normal', 'FIFO', 'Unspecified'])(
  'of %s messages a topic can be made one of all kinds, and no other',
  (from) => {
    const of = (messageType: string) => withSpec(sample('Topic'), { messageType })

    for (const to of [from, 'Mixed', 'Unspecified']) expect(problemsOf(of(to), of(from))).toEqual([])
    expect(problemsOf(of('Delay'), of(from)).join('\n')).toContain('messageType can be changed to Mixed or Unspecified')
  },
)

test.each(['2Gi', '3Gi', '3000M'])('storage of 2Gi may become %s', (size) => {
  const old = sample('BrokerSet')

  expect(problemsOf(withSpec(old, { storage: { size } }), old)).toEqual([])
})

test('storage may be named later, with its defaults or more', () => {
  const old = { ...sample('BrokerSet'), spec: { nameServerRef: { name: 'mq' } } }

  expect(problemsOf(withSpec(old, { storage: { size: '20Gi' } }), old)).toEqual([])
  expect(problemsOf(withSpec(old, { storage: { size: '2Gi' } }), old).join('\n')).toContain('never shrinks')
})

test('a name too long for its Services is refused', () => {
  const object = { ...sample('BrokerSet'), metadata: { name: 'b'.repeat(50) } }

  expect(problemsOf(object).join('\n')).toContain('at most 49')
})

test('settings that the operator owns are settings of Apache or ours', () => {
  const known = new Set([
    ...Object.keys(namesrvSchema.shape),
    ...Object.keys(brokerSchema.shape),
    ...otherNamesrvKeys,
    ...otherBrokerKeys,
  ])

  expect([...nameServerOwnedKeys, ...brokerOwnedKeys].filter((key) => !known.has(key))).toEqual([])
})

test.each([
  ['Topic', 'topicName', 127],
  ['ConsumerGroup', 'groupName', 120],
])('the name of a %s is that on brokers, unless %s says another one', (kind, field, bytesMax) => {
  const named = (name: string, spec = {}) => {
    const { [field]: _given, ...rest } = sample(kind).spec
    return problemsOf({ ...sample(kind), metadata: { name }, spec: { ...rest, ...spec } }).join('\n')
  }

  expect(named('a'.repeat(bytesMax))).toBe('')
  expect(named('a'.repeat(bytesMax + 1))).toContain(`at most ${bytesMax}`)
  expect(named('a.b')).toContain(`set spec.${field}`)
  expect(named('a.b', { [field]: 'a_b' })).toBe('')
})
