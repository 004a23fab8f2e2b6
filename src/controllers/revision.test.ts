import { expect, test } from '@jest/globals'
import { annotation } from '../crds/index.ts'
import type { Pod, StatefulSet } from '../kube/index.ts'
import * as brokerSets from './brokerset/objects.ts'
import * as nameServers from './nameserver/objects.ts'
import type { BrokerSet, NameServer } from './resources.ts'
import { causesOf, restartText } from './revision.ts'
import { facts } from './testing/broker-set.ts'
import { brokerSet, nameServer, pod, statefulSet } from './testing/resources.ts'

const oldImage = 'localhost/mq:1'
const newImage = 'localhost/mq:2'

/** A StatefulSet as another version of the operator rendered it: other arguments, and its default image. */
function renderedBefore(madeFor: string): StatefulSet {
  const before = statefulSet('b-0', madeFor, { image: oldImage })
  before.spec!.template.spec!.containers[0]!.args = ['as', 'it', 'was']
  return before
}

function templateFor(revision: ReturnType<typeof brokerSets.revisionOf>, live: StatefulSet) {
  return { template: revision.templateOf(live, () => ({ rendered: 'anew' })), podHash: revision.podHashFor(live) }
}

test.each([
  ['a BrokerSet', (image: string, present: StatefulSet[]) => brokerSets.revisionOf(brokerSet(), present, image)],
  ['a NameServer', (image: string, [live]: StatefulSet[]) => nameServers.revisionOf(nameServer(), live, image)],
])('with the same spec another operator leaves the pods of %s as they are, image and all', (_, revisionOf) => {
  const live = renderedBefore(revisionOf(oldImage, []).madeFor)

  const revision = revisionOf(newImage, [live])

  expect(revision.madeFor).toBe(revisionOf(oldImage, []).madeFor)
  expect(templateFor(revision, live)).toEqual({
    template: live.spec!.template,
    podHash: live.metadata.annotations?.[annotation.madeFor],
  })
  expect(revision.image).toBe(oldImage)
})

test.each<[string, object]>([
  ['image', { image: 'localhost/mq:own' }],
  ['config', { config: { maxMessageSize: '1024' } }],
  ['resources', { resources: { limits: { memory: '1Gi' } } }],
  ['podTemplate', { podTemplate: { labels: { team: 'shop' } } }],
  ['nameServerRef', { nameServerRef: { name: 'other' } }],
  ['externalNameServers', { nameServerRef: undefined, externalNameServers: ['ns:9876'] }],
  ['flush', { flush: 'Sync' }],
  ['replication.mode', { slavesPerGroup: 1, replication: { mode: 'Sync' } }],
  ['autoCreate.topics', { autoCreate: { topics: true } }],
])('another %s of a BrokerSet is another revision, with the image of this operator', (_, spec) => {
  const before = brokerSets.revisionOf(brokerSet(), [], oldImage)
  const live = renderedBefore(before.madeFor)

  const revision = brokerSets.revisionOf(brokerSet(spec), [live], newImage)

  expect(templateFor(revision, live)).toEqual({ template: { rendered: 'anew' }, podHash: revision.madeFor })
  expect(revision.madeFor).not.toBe(before.madeFor)
  expect([newImage, 'localhost/mq:own']).toContain(revision.image)
})

test.each<[string, object]>([
  ['image', { image: 'localhost/mq:own' }],
  ['config', { config: { scanNotActiveBrokerInterval: '3000' } }],
  ['resources', { resources: { limits: { memory: '1Gi' } } }],
  ['podTemplate', { podTemplate: { priorityClassName: 'high' } }],
])('another %s of a NameServer is another revision', (_, spec) => {
  const hashOf = (desired: ReturnType<typeof nameServer>) =>
    nameServers.revisionOf(desired, undefined, oldImage).madeFor

  expect(hashOf(nameServer(spec))).not.toBe(hashOf(nameServer()))
})

test('another minInSync of a BrokerSet is another revision', () => {
  const hashOf = (minInSync: number) => {
    const desired = brokerSet({ slavesPerGroup: 2, replication: { mode: 'Sync', minInSync } })
    return brokerSets.revisionOf(desired, [], oldImage).madeFor
  }

  expect(hashOf(3)).not.toBe(hashOf(2))
})

test('what a version made that counted live settings is kept, until a setting that needs a restart changes', () => {
  const before = { config: { fileReservedTime: '48', maxMessageSize: '1024' }, autoCreate: { groups: false } }
  const live = renderedBefore('96c104d30db036ba')
  const kept = (spec: object) => brokerSets.revisionOf(brokerSet(spec), [live], newImage).templateOf(live, () => ({}))

  expect(kept(before)).toBe(live.spec?.template)
  expect(kept({ ...before, config: { ...before.config, maxMessageSize: '1025' } })).toEqual({})
})

test.each<[string, object]>([
  ['groups', { groups: 3 }],
  ['autoCreate.groups, which brokers take at request,', { autoCreate: { groups: false } }],
  ['a live setting', { config: { a: '1', b: '2', fileReservedTime: '48' } }],
  ['slavesPerGroup', { slavesPerGroup: 2 }],
  ['the order of settings', { config: { b: '2', a: '1' } }],
])('%s restarts nothing', (_, spec) => {
  const hashOf = (more: object) =>
    brokerSets.revisionOf(brokerSet({ config: { a: '1', b: '2' }, ...more }), [], oldImage).madeFor

  expect(hashOf(spec)).toBe(hashOf({}))
})

test('a new value of restart-at is another revision, with the image of this operator', () => {
  const live = renderedBefore(brokerSets.revisionOf(brokerSet(), [], oldImage).madeFor)
  const desired = brokerSet()
  desired.metadata.annotations = { [annotation.restartAt]: '2026-01-02T03:04:05Z' }

  const revision = brokerSets.revisionOf(desired, [live], newImage)

  expect(templateFor(revision, live).template).toEqual({ rendered: 'anew' })
  expect(revision.image).toBe(newImage)
})

test('what an operator without this mark made is kept while its spec is the one that was seen then', () => {
  const live = statefulSet('b-0', 'a hash of its own', { image: oldImage })
  delete live.metadata.annotations
  const revisionOf = (observedGeneration: number) =>
    brokerSets.revisionOf(brokerSet({}, { observedGeneration }), [live], newImage)

  expect(templateFor(revisionOf(1), live).podHash).toBe('a hash of its own')
  expect(templateFor(revisionOf(0), live).template).toEqual({ rendered: 'anew' })
})

/** As it is rendered for a spec when nothing is there. */
function renderedFor(desired: BrokerSet | NameServer): StatefulSet {
  if (desired.kind === 'BrokerSet') {
    return brokerSets.groupObjects(desired as BrokerSet, 0, facts(0, desired as BrokerSet)).statefulSet as never
  }
  const { children } = nameServers.objectsOf(desired as NameServer, undefined, oldImage)
  return children.find(([, { kind }]) => kind === 'StatefulSet')?.[1] as StatefulSet
}

function podOf({ spec }: StatefulSet): Pod {
  return { ...pod('b-0-0'), metadata: { name: 'b-0-0', annotations: spec!.template.metadata!.annotations! } }
}

test.each<[string[], object]>([
  [[], {}],
  [[], { groups: 3, autoCreate: { groups: false }, config: { fileReservedTime: '48' } }],
  [['ImageChanged'], { image: newImage }],
  [['StaticConfigChanged'], { config: { maxMessageSize: '1024' } }],
  [['StaticConfigChanged'], { flush: 'Sync', autoCreate: { topics: true } }],
  [['ResourcesChanged'], { resources: { limits: { memory: '1Gi' } } }],
  [['PodTemplateChanged'], { podTemplate: { labels: { team: 'shop' } } }],
  [['NameServersChanged'], { nameServerRef: undefined, externalNameServers: ['ns:9876'] }],
  [['ImageChanged', 'ResourcesChanged'], { image: newImage, resources: { limits: { memory: '1Gi' } } }],
])('a broker is restarted because of %j when it gets %j', (causes, spec) => {
  expect(causesOf(podOf(renderedFor(brokerSet())), renderedFor(brokerSet(spec)))).toEqual(causes)
})

test('why a NameServer is restarted', () => {
  const desired = nameServer({ config: { scanNotActiveBrokerInterval: '3000' } })
  desired.metadata.annotations = { [annotation.restartAt]: 'now' }

  const text = restartText(podOf(renderedFor(nameServer())), renderedFor(desired))

  expect(text).toBe('restarting b-0-0: ManualRestart, StaticConfigChanged')
})

test('of a pod that an earlier version made nobody knows why, and it is not guessed', () => {
  expect(causesOf(pod('b-0-0'), renderedFor(brokerSet()))).toEqual([])
  expect(restartText(pod('b-0-0'), renderedFor(brokerSet()))).toBe(
    'restarting b-0-0: its settings or its template changed',
  )
})
