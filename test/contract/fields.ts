import type { Schema } from '../../src/local-cluster/api-server/schema.ts'

/** What a field of a spec is walked through. Its limits, its enum and its type are not named: they follow from the schema. */
export interface Walk {
  /** Values that are taken. */
  valid?: unknown[]
  /** Values that are refused, besides those of another type or beyond a limit. */
  invalid?: unknown[]
  /** Fields of the spec without which the value does not hold. */
  needs?: Record<string, unknown>
  /** Fixed: it can be given, and not changed. Grows: what was given cannot be taken back. */
  keeps?: 'fixed' | 'grows'
}

const name = { valid: ['orders'], invalid: ['Not_A_Name', ''] }
const nameOnBrokers = { valid: ['orders', '%a|B_9-'], invalid: ['or ders', '', 'orders!'], keeps: 'fixed' as const }
const reserved = { invalid: ['TBW102', 'RMQ_SYS_X', '%RETRY%a', '%DLQ%a'] }
const quantities = { valid: ['500m', '1Gi', '0.5', '1e3', 2], invalid: ['much', '1Gb', '1 Gi'] }
const perResource = {
  valid: quantities.valid.map((cpu) => ({ cpu })),
  invalid: quantities.invalid.map((cpu) => ({ cpu })),
}
const labels = { valid: [{ 'example.com/team': 'a' }], invalid: [{ team: 'x'.repeat(64) }] }
const flag = {}

/** Fields of the pods that NameServers and brokers have alike. */
const pods: Record<string, Walk> = {
  image: { valid: ['localhost/rocketmq-operator:0.1.0', 'registry.example.com:5000/a/b@sha256:0'] },
  'resources.requests': perResource,
  'resources.limits': perResource,
  'podTemplate.labels': labels,
  'podTemplate.annotations': {
    valid: [{ 'example.com/note': 'x'.repeat(4096) }],
    invalid: [{ note: 'x'.repeat(4097) }],
  },
  'podTemplate.nodeSelector': labels,
  'podTemplate.tolerations': { valid: [[{ operator: 'Exists' }], []] },
  'podTemplate.tolerations[].key': { valid: ['example.com/broken'] },
  'podTemplate.tolerations[].operator': {},
  'podTemplate.tolerations[].value': { valid: ['yes'] },
  'podTemplate.tolerations[].effect': {},
  'podTemplate.tolerations[].tolerationSeconds': { valid: [0, 300] },
  'podTemplate.affinity': { valid: [{}, { podAntiAffinity: {} }], invalid: ['none'] },
  'podTemplate.topologySpreadConstraints': {
    valid: [[], [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }]],
  },
  'podTemplate.priorityClassName': { valid: ['system-cluster-critical'] },
  'podTemplate.imagePullSecrets': { valid: [[], [{ name: 'registry' }]] },
  'podTemplate.imagePullSecrets[].name': { valid: ['registry'] },
  'podTemplate.terminationGracePeriodSeconds': {},
  paused: flag,
  hibernate: flag,
}

/** Fields of who may refer to a resource from another namespace. */
const bySelector = { 'allowedNamespaces.from': 'Selector' }
const oneExpression = [{ key: 'team', operator: 'Exists' }]
const allowedNamespaces: Record<string, Walk> = {
  'allowedNamespaces.from': { valid: ['Same', 'All'], invalid: ['Selector'] }, // without a selector
  'allowedNamespaces.selector.matchLabels': {
    valid: [{ team: 'a' }],
    invalid: [{ team: 'x'.repeat(64) }],
    needs: bySelector,
  },
  'allowedNamespaces.selector.matchExpressions': { valid: [oneExpression, []], needs: bySelector },
  'allowedNamespaces.selector.matchExpressions[].key': {
    valid: ['example.com/team'],
    needs: { ...bySelector, 'allowedNamespaces.selector.matchExpressions': oneExpression },
  },
  'allowedNamespaces.selector.matchExpressions[].operator': {
    valid: ['Exists', 'DoesNotExist'],
    invalid: ['In', 'NotIn'], // without values
    needs: { ...bySelector, 'allowedNamespaces.selector.matchExpressions': oneExpression },
  },
  'allowedNamespaces.selector.matchExpressions[].values': {
    valid: [['a']],
    invalid: [['x'.repeat(64)], []],
    needs: { ...bySelector, 'allowedNamespaces.selector.matchExpressions': [{ key: 'team', operator: 'In' }] },
  },
}
const namespace = { valid: ['other'], invalid: ['Other', 'a.b', ''] }

/** Fields of what every broker of a BrokerSet has under one name. */
const onBrokers: Record<string, Walk> = {
  'brokerSetRef.name': { ...name, keeps: 'fixed' },
  'brokerSetRef.namespace': { ...namespace, keeps: 'fixed' },
  adoptionPolicy: {},
  driftPolicy: {},
  paused: flag,
  deletionPolicy: {},
}

/** Every field of every spec; a test tells of one that is missing here. */
export const walks: Record<string, Record<string, Walk>> = {
  NameServer: {
    ...pods,
    ...allowedNamespaces,
    replicas: {},
    config: {
      valid: [{ orderMessageEnable: 'true' }, {}],
      invalid: [{ listenPort: '1' }, { orderMessageEnable: true }],
    },
  },
  BrokerSet: {
    ...pods,
    ...allowedNamespaces,
    'nameServerRef.name': name,
    'nameServerRef.namespace': namespace,
    externalNameServers: {
      valid: [['mq.example.com:9876', '[::1]:9876']],
      invalid: [['mq.example.com'], ['mq:x']],
      needs: { nameServerRef: undefined },
    },
    clusterName: { valid: ['Default_Cluster-1'], invalid: ['a b', ''], keeps: 'fixed' },
    groups: {},
    'scaleIn.policy': {},
    'scaleIn.timeoutSeconds': {},
    'scaleIn.onTimeout': {},
    slavesPerGroup: {},
    'replication.mode': { needs: { slavesPerGroup: 1 } },
    'replication.minInSync': { needs: { slavesPerGroup: 4, 'replication.mode': 'Sync' } },
    flush: {},
    'storage.size': { valid: ['21Gi', '30000000000'], invalid: ['much', '20Gb'], keeps: 'grows' },
    'storage.className': { valid: ['fast'], keeps: 'fixed' },
    'storage.ephemeral': { keeps: 'fixed' },
    'autoCreate.topics': flag,
    'autoCreate.groups': flag,
    config: { valid: [{ fileReservedTime: '48' }, {}], invalid: [{ brokerId: '1' }, { fileReservedTime: 48 }] },
  },
  Topic: {
    ...onBrokers,
    topicName: { ...nameOnBrokers, invalid: [...nameOnBrokers.invalid, ...reserved.invalid] },
    'queues.perBroker': {},
    'queues.write': { needs: { 'queues.read': 1024 } },
    'queues.read': { needs: { 'queues.write': 1 } },
    'placement.groups': { valid: [[0], [63, 2]], invalid: [[64], [1, 1]] },
    ordered: flag,
    permission: {},
    messageType: { valid: ['FIFO', 'Delay', 'Transaction', 'Mixed', 'Unspecified'], keeps: 'fixed' }, // to Normal, the default
  },
  ConsumerGroup: {
    ...onBrokers,
    groupName: { ...nameOnBrokers, invalid: [...nameOnBrokers.invalid, 'CID_RMQ_SYS_TRANS', 'TOOLS_CONSUMER'] },
    consumeEnabled: flag,
    broadcastEnabled: flag,
    orderly: flag,
    'retry.maxTimes': {},
    'retry.queues': {},
    slowConsumeBrokerId: {},
    'resetOffset.requestId': { valid: ['again'], needs: { 'resetOffset.to': 'Latest' } },
    'resetOffset.to': {
      valid: ['Earliest', 'Latest'],
      invalid: ['Timestamp'], // without a timestamp
      needs: { 'resetOffset.requestId': 'again' },
    },
    'resetOffset.timestamp': {
      valid: ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.5+02:00'],
      invalid: ['yesterday'],
      needs: { 'resetOffset.requestId': 'again', 'resetOffset.to': 'Timestamp' },
    },
    'resetOffset.topics': {
      valid: [['orders']],
      invalid: [['']],
      needs: { 'resetOffset.requestId': 'again', 'resetOffset.to': 'Latest' },
    },
    'resetOffset.force': { needs: { 'resetOffset.requestId': 'again', 'resetOffset.to': 'Latest' } },
    deleteOffsets: flag,
  },
}

/** The smallest spec of each kind. */
export const smallest: Record<string, Record<string, unknown>> = {
  NameServer: {},
  BrokerSet: { nameServerRef: { name: 'none' } },
  Topic: { brokerSetRef: { name: 'none' } },
  ConsumerGroup: { brokerSetRef: { name: 'none' } },
}

type Properties = Record<string, Schema>

/** The schema of every field that holds a value, by its path: lists are fields, and so is what their items hold. */
export function fieldsOf(schema: Schema, path = ''): Map<string, Schema> {
  const fields = new Map<string, Schema>()
  for (const [key, field] of Object.entries((schema.properties ?? {}) as Properties)) {
    const at = path === '' ? key : `${path}.${key}`
    const items = field.items as Schema | undefined
    if (!field.properties) fields.set(at, field)
    const inside = field.properties ? fieldsOf(field, at) : items?.properties ? fieldsOf(items, `${at}[]`) : []
    for (const [where, schemaThere] of inside) fields.set(where, schemaThere)
  }
  return fields
}

/** The values that a field takes and refuses: those of its walk, and those that follow from its schema. */
export function valuesOf(schema: Schema, { valid = [], invalid = [] }: Walk): { taken: unknown[]; refused: unknown[] } {
  const taken = [...valid]
  const refused = [...invalid]
  const { type, enum: words, minimum, maximum, minLength, maxLength, minItems, maxItems, maxProperties } = schema
  if (words) {
    if (valid.length === 0) taken.push(...words)
    refused.push('Nonsense')
  }
  if (type === 'boolean') {
    taken.push(true, false)
    refused.push('maybe')
  }
  if (type === 'integer') {
    refused.push('many', 1.5)
    for (const [limit, step] of [
      [minimum, -1],
      [maximum, 1],
    ] as const) {
      if (limit === undefined) continue
      taken.push(limit)
      refused.push(limit + step)
    }
  }
  if (type === 'string') {
    refused.push(5)
    const longest = valid.findLast((value) => typeof value === 'string') as string | undefined
    if (maxLength !== undefined && longest !== undefined && schema.format === undefined) {
      taken.push(longest.at(-1)!.repeat(maxLength))
      refused.push(longest.at(-1)!.repeat(maxLength + 1))
    }
    if (minLength !== undefined && minLength > 0) refused.push('')
  }
  const item = (valid.findLast((value) => Array.isArray(value) && value.length > 0) as unknown[] | undefined)?.at(0)
  if (type === 'array') {
    refused.push('one')
    if (maxItems !== undefined && item !== undefined) {
      const isSet = schema['x-kubernetes-list-type'] === 'set' // of numbers, no two of which are alike
      const many = (count: number) => Array.from({ length: count }, (_, index) => (isSet ? index : item))
      taken.push(many(maxItems))
      refused.push(many(maxItems + 1))
    }
    if (minItems !== undefined && minItems > 0) refused.push([])
  }
  if (type === 'object' && maxProperties !== undefined) {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, 'v']))
    taken.push(many(maxProperties))
    refused.push(many(maxProperties + 1))
  }
  return { taken, refused }
}

/** The spec with a value at a path, in the first item of each list on the way. undefined: without the field. */
export function withValue(spec: Record<string, unknown>, path: string, value: unknown): Record<string, unknown> {
  const [first, ...rest] = path.split('.') as [string, ...string[]]
  const isList = first.endsWith('[]')
  const key = isList ? first.slice(0, -2) : first
  const before = isList ? (spec[key] as unknown[] | undefined)?.[0] : spec[key]
  const inside = rest.length === 0 ? value : withValue({ ...(before as object) }, rest.join('.'), value)
  const { [key]: _, ...others } = spec
  if (inside === undefined) return others
  return { ...others, [key]: isList ? [inside] : inside }
}
