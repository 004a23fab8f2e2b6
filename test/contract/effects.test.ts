// Every field of every resource takes effect: each is proven here, by what is made of two specs that differ in it alone, or
// by a test that is named. What the API server takes and refuses of it is in fields.test.ts.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { subscriptionGroupConfig } from '../../src/client/index.ts'
import { planReset, wantedGroup } from '../../src/controllers/consumergroup/plan.ts'
import { objectsOf } from '../../src/controllers/nameserver/objects.ts'
import { plan as planNameServer } from '../../src/controllers/nameserver/plan.ts'
import { admits, targetKey } from '../../src/controllers/references.ts'
import { type Given, group, image, look, nowMs } from '../../src/controllers/testing/broker-set.ts'
import {
  brokerSet,
  consumerGroup,
  nameServer,
  pod,
  statefulSet,
  topic,
} from '../../src/controllers/testing/resources.ts'
import { isPlacedOn, wantedTopic } from '../../src/controllers/topic/wanted.ts'
import { annotation, customResourceDefinition, definitions } from '../../src/crds/index.ts'
import type { Schema } from '../../src/local-cluster/api-server/schema.ts'
import { fieldsOf, smallest, valuesOf, walks, withValue } from './fields.ts'

type Spec = Record<string, unknown>

/** A test that shows what the field does. */
interface Proof {
  file: string
  test: string
}

const at = (file: string) => (test: string) => ({ file: `src/controllers/${file}.test.ts`, test })
const paused = at('paused')('while a resource is paused nothing is changed, its status says what is')
const adoption = at('on-brokers/ownership')('%s: a topic %j that is there becomes its own: %s')
const drift = at('on-brokers/ownership')('with Report, changes by hand are told and left')

/** Fields whose effect takes more than one look at a resource; all others show in what is made. */
const proofs: Record<string, Record<string, Proof>> = {
  NameServer: { paused },
  BrokerSet: { paused },
  Topic: {
    paused,
    adoptionPolicy: adoption,
    driftPolicy: drift,
    deletionPolicy: at('operator')('a Topic whose deletionPolicy is Retain leaves the topic on the brokers'),
  },
  ConsumerGroup: {
    paused,
    adoptionPolicy: adoption,
    driftPolicy: drift,
    deletionPolicy: at('consumergroup/operator')('with deletionPolicy Retain it stays on the brokers'),
    'resetOffset.requestId': at('consumergroup/operator')('is done once, and another id asks for another one'),
    deleteOffsets: at('consumergroup/operator')('with its offsets where asked'),
  },
}

/** Namespaces by their labels: who of them is let in shows who may refer to a resource. */
const namespaces = [{}, { team: 'a' }, { team: 'b' }, { 'example.com/team': 'a' }]
const letIn = (allowed: Parameters<typeof admits>[0]) => namespaces.map((labels) => admits(allowed, labels))

const dayMs = 86_400_000

/** What is made of a resource of each kind, and decided for it. */
const makers: Record<string, (spec: Spec) => unknown> = {
  NameServer(spec) {
    const desired = nameServer(spec)
    const found = statefulSet('mq', objectsOf(nameServer(), undefined, image).podHash, { replicas: 2 })
    const members = ['mq-0', 'mq-1'].map((name) => ({ pod: pod(name), isReady: true, brokers: new Set<string>() }))
    const observed = { statefulSet: found, members, pods: ['mq-0', 'mq-1'], users: [] }
    return [planNameServer(desired, observed, image, nowMs).steps, letIn(desired.spec.allowedNamespaces)]
  },
  BrokerSet(spec) {
    const desired = brokerSet(spec)
    const unread = [{ consumerGroup: 'billing', topic: 'orders', count: 3 }]
    const leaving: Given = {
      drainingSince: new Date(nowMs - 2 * dayMs).toISOString(),
      drain: { permission: 4, unread, isPartial: false },
    }
    const { steps, blocked } = look(desired, [group(0), group(1, brokerSet(), leaving)])
    return [steps, blocked?.reason, letIn(desired.spec.allowedNamespaces)]
  },
  Topic(spec) {
    const desired = topic(spec)
    const groups = Array.from({ length: 64 }, (_, index) => isPlacedOn(desired, `b-${index}`))
    return [wantedTopic(desired), groups, targetKey(desired, desired.spec.brokerSetRef)]
  },
  ConsumerGroup(spec) {
    const desired = consumerGroup(spec)
    const wanted = wantedGroup(desired)
    const place = { brokerName: 'b-0', brokerAddr: '10.96.0.1:10911', has: subscriptionGroupConfig(wanted.groupName) }
    const resets = [0, 2].map((clients) => {
      const brokers = [{ ...place, use: { clients, topics: ['bills'] } }]
      return planReset(desired, { brokerSet: brokerSet({ groups: 1 }), rival: undefined, brokers }, [])
    })
    return [wanted, resets, targetKey(desired, desired.spec.brokerSetRef)]
  },
}

/** Digests of the spec differ with every field, whatever it does. */
const digests: readonly string[] = [annotation.podHash, annotation.madeOf, annotation.madeFor, annotation.applied]
const withoutDigests = (key: string, value: unknown) => (digests.includes(key) ? undefined : value)

const kinds = definitions.map(customResourceDefinition).map(({ spec }) => ({
  kind: spec.names.kind,
  fields: [...fieldsOf(spec.versions[0]!.schema.openAPIV3Schema.properties.spec as Schema)],
}))
const everyField = kinds.flatMap(({ kind, fields }) => fields.map(([field, schema]) => ({ kind, field, schema })))
const isNamed = ({ kind, field }: { kind: string; field: string }) => proofs[kind]?.[field] !== undefined

test('what is proven by a test elsewhere is a field', () => {
  const named = Object.entries(proofs).flatMap(([kind, fields]) => Object.keys(fields).map((field) => [kind, field]))

  expect(named.filter(([kind, field]) => !everyField.some((one) => one.kind === kind && one.field === field))).toEqual(
    [],
  )
})

describe('the test that is named is there:', () => {
  test.each(everyField.filter(isNamed))('$kind $field', ({ kind, field }) => {
    const { file, test } = proofs[kind]![field]!

    expect(readFileSync(join(import.meta.dirname, '../..', file), 'utf8')).toContain(test)
  })
})

describe('another value makes a difference:', () => {
  test.each(everyField.filter((one) => !isNamed(one)))('$kind $field', ({ kind, field, schema }) => {
    const walk = walks[kind]![field]!
    const before = Object.entries(walk.needs ?? {}).reduce(
      (spec, [where, value]) => withValue(spec, where, value),
      smallest[kind]!,
    )
    const make = (value: unknown) => JSON.stringify(makers[kind]!(withValue(before, field, value)), withoutDigests)
    const values = valuesOf(schema, walk).taken

    // without the field, too, where it may be left out
    const isRequired = (() => {
      try {
        make(undefined)
        return false
      } catch {
        return true
      }
    })()
    const made = new Set([...values.map(make), ...(isRequired ? [] : [make(undefined)])])

    expect(made.size).toBeGreaterThan(1)
  })
})
