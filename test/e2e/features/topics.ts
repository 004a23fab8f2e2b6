import { isRefusal, ResponseCode, type TopicConfig } from '../../../src/client/index.ts'
import { apiVersion } from '../../../src/crds/group.ts'
import {
  check,
  conditionOf,
  eventually,
  type Item,
  isReady,
  type Kube,
  podUids,
  readiness,
  runLabel,
} from '../harness/kube.ts'
import { clusterOf } from '../harness/manifests.ts'
import { type PortableCase, type Scene, Stage } from '../harness/stage.ts'

const readyMs = 60_000
const drainMs = 120_000 // producers get 35 s to notice
const wakeMs = 240_000
const brokerSet = 'mq-brokers'
const brokers = `rocketmq.alt/broker-set=${brokerSet}`
const consent = { from: 'Selector', selector: { matchLabels: { 'example.com/team': 'shop' } } }

/** Where topics are, whose they are and what becomes of their messages. On a cluster of two groups, messages through it. */
export const topics: PortableCase[] = [
  {
    name: 'a cluster of two groups, messages through both from now on',
    isBase: true,
    async run(scene) {
      const { kube } = scene
      await kube.apply(...clusterOf('mq', 'orders', { groups: 2 }))
      await isReady(kube, 'brokersets', brokerSet, 180_000)
      await isReady(kube, 'topics', 'mq-orders', readyMs)
      await scene.startFlow('orders')
    },
  },
  {
    name: 'a Topic is on the groups that it is placed on, and comes to the others when it says so',
    async run(scene) {
      const { kube } = scene
      await kube.apply(topic('placed', { placement: { groups: [1] } }))
      await isReady(kube, 'topics', 'placed', readyMs)
      const { status } = await kube.find('topics', 'placed')
      check(status.brokers.desired === 1, `it is to be on one broker, saw ${JSON.stringify(status.brokers)}`)
      check(
        (await queuesOf(scene, 'placed')) === 'none, 4 of 4',
        `it is on group 1, saw ${await queuesOf(scene, 'placed')}`,
      )
      const one = await scene.talk.send({ ...(await about(scene, 'placed')), prefix: 'one-', count: 20 })
      check(
        Object.keys(one.perBroker).join() === `${brokerSet}-1`,
        `group 1 takes messages, saw ${JSON.stringify(one)}`,
      )

      await kube.patch('topics', 'placed', { spec: { placement: null } })
      await isReady(kube, 'topics', 'placed', readyMs)
      const both = await scene.talk.send({ ...(await about(scene, 'placed')), prefix: 'both-', count: 40 })
      check(both.queues === 8, `four queues of each group take messages, saw ${JSON.stringify(both)}`)
      const expect = { 'one-': 20, 'both-': 40 }
      await scene.talk.receive({ ...(await about(scene, 'placed')), group: 'of-placed', expect })
    },
  },
  {
    name: 'a topic gives up queues and a group, in two phases: what somebody has not read does not go',
    async run(scene) {
      const { kube } = scene
      await kube.apply(topic('backlog', {}))
      await isReady(kube, 'topics', 'backlog', readyMs)
      const late = { ...(await about(scene, 'backlog')), group: 'late' }
      await scene.talk.send({ ...late, prefix: 'early-', count: 40 })
      await scene.talk.receive({ ...late, expect: { 'early-': 40 } })
      await scene.talk.send({ ...late, prefix: 'unread-', count: 200 })

      // one with a backlog, and one with messages through it all the time
      for (const name of ['backlog', 'mq-orders'])
        await kube.patch('topics', name, { spec: { queues: { perBroker: 2 }, placement: { groups: [1] } } })
      await eventually('group 0 takes no messages, group 1 in two queues', readyMs, async () => {
        const { perms, queues } = await placesOf(scene, 'backlog')
        return (`${perms}` === '4,6' && `${queues}` === '4 of 4,2 of 4') || `perm ${perms}, write of read ${queues}`
      })
      await eventually('it says that one has not read all of it', drainMs, async () => {
        const { status } = await kube.find('topics', 'backlog')
        const blockers = status.draining?.flatMap(({ blockers = [] }: Item) => blockers).join()
        const { reason, message } = conditionOf({ status }, 'Draining') ?? {}
        return (reason === 'Unread' && /late/.test(blockers)) || `${reason}: ${message}`
      })
      check((await queuesOf(scene, 'backlog')) === '4 of 4, 2 of 4', 'all of it is there to be read')
      check(readiness(await kube.find('topics', 'backlog')) !== true, 'it is not Ready meanwhile')

      await scene.talk.receive({ ...late, expect: { 'unread-': 200 } })
      for (const [resource, name] of [
        ['backlog', 'backlog'],
        ['mq-orders', 'orders'],
      ] as const) {
        await isReady(kube, 'topics', resource, drainMs)
        const left = await queuesOf(scene, name)
        check(left === 'none, 2 of 2', `what is read of ${name} goes, saw ${left}`)
      }
      await kube.patch('topics', 'mq-orders', { spec: { queues: { perBroker: 4 } } })
      await isReady(kube, 'topics', 'mq-orders', readyMs)
      check((await queuesOf(scene, 'orders')) === 'none, 4 of 4', 'queues come back at once')
    },
  },
  {
    name: 'a topic that was there before its resource is left alone, and adopted with its messages when told so',
    async run(scene) {
      const { kube } = scene
      const addresses = await addressesOf(kube)
      await scene.asked((admin) =>
        Promise.all(
          addresses.map((address) =>
            admin.createTopic(address, { topicName: 'found', readQueueNums: 3, writeQueueNums: 3 }),
          ),
        ),
      )
      await scene.talk.send({ ...(await about(scene, 'found')), prefix: 'found-', count: 30 })
      await kube.apply(topic('found', { deletionPolicy: 'Delete' }))
      await reasonIs(kube, 'found', 'AdoptionConflict')
      check((await queuesOf(scene, 'found')) === '3 of 3, 3 of 3', 'nothing was changed')

      await kube.patch('topics', 'found', { spec: { adoptionPolicy: 'Always' } })
      await isReady(kube, 'topics', 'found', readyMs)
      check((await queuesOf(scene, 'found')) === '4 of 4, 4 of 4', 'it is as its resource says')
      await scene.talk.receive({ ...(await about(scene, 'found')), group: 'finder', expect: { 'found-': 30 } })
    },
  },
  {
    name: 'of two resources for one topic the older has it; the younger takes over when that goes, messages and all',
    async run(scene) {
      const { kube } = scene
      await kube.apply(topic('older', { topicName: 'shared', deletionPolicy: 'Delete' }))
      await isReady(kube, 'topics', 'older', readyMs)
      await scene.talk.send({ ...(await about(scene, 'shared')), prefix: 'shared-', count: 30 })
      await kube.apply(topic('younger', { topicName: 'shared', queues: { perBroker: 5 } }))
      await reasonIs(kube, 'younger', 'ResourceConflict')
      check((await queuesOf(scene, 'shared')) === '4 of 4, 4 of 4', 'the older one has it')

      await kube.remove('topics', 'older')
      await isReady(kube, 'topics', 'younger', readyMs)
      const { metadata, status } = await kube.find('topics', 'younger')
      check(status.owner === metadata.uid, `the younger one owns it, saw ${status.owner}`)
      check((await queuesOf(scene, 'shared')) === '5 of 5, 5 of 5', 'it is as the younger one says')
      await scene.talk.receive({ ...(await about(scene, 'shared')), group: 'heir', expect: { 'shared-': 30 } })
    },
  },
  {
    name: 'a Topic of another namespace: refused, let in, and turned out again, which leaves what it made',
    async run(scene) {
      const { kube } = scene
      const guest = kube.in(`${kube.namespace}-guest`)
      const labels = { ...runLabel, ...consent.selector.matchLabels }
      await guest.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: guest.namespace, labels } })
      const brokerSetRef = { name: brokerSet, namespace: kube.namespace }
      await guest.apply(topic('visitor', { brokerSetRef, deletionPolicy: 'Delete' }))
      await reasonIs(guest, 'visitor', 'NotAllowed')
      check((await queuesOf(scene, 'visitor')) === 'none, none', 'nothing was made for it')

      await kube.patch('brokersets', brokerSet, { spec: { allowedNamespaces: consent } })
      await isReady(guest, 'topics', 'visitor', readyMs)
      await scene.talk.send({ ...(await about(scene, 'visitor')), prefix: 'visitor-', count: 30 })

      await kube.patch('brokersets', brokerSet, { spec: { allowedNamespaces: null } })
      await reasonIs(guest, 'visitor', 'NotAllowed')
      await guest.patch('topics', 'visitor', { spec: { queues: { perBroker: 6 } } })
      await reasonIs(guest, 'visitor', 'NotAllowed')
      await guest.remove('namespaces', guest.namespace)
      await eventually('its namespace is gone', drainMs, async () => {
        return (await guest.find('namespaces', guest.namespace)) === undefined
      })
      check((await queuesOf(scene, 'visitor')) === '4 of 4, 4 of 4', 'its topic stays as it was')
      await scene.talk.receive({ ...(await about(scene, 'visitor')), group: 'host', expect: { 'visitor-': 30 } })
    },
  },
  {
    name: 'volumes grow where their class lets them, and else the set says so: no broker restarts',
    async run(scene) {
      const { kube } = scene
      const before = await podUids(kube, brokers)
      const mayGrow = await mayVolumesGrow(scene)
      await kube.patch('brokersets', brokerSet, { spec: { storage: { size: '2Gi' } } })
      const reason = mayGrow ? 'AllResized' : 'ExpansionNotAllowed'
      await eventually(`VolumesResized has the reason ${reason}`, drainMs, async () => {
        const set = await kube.find('brokersets', brokerSet)
        const resized = conditionOf(set, 'VolumesResized')
        const isOfNow = resized?.observedGeneration === set.metadata.generation
        return (isOfNow && resized.reason === reason) || `${resized?.reason}: ${resized?.message}`
      })
      const claims = await kube.list('persistentvolumeclaims', brokers)
      const sizes = claims.map(({ status }) => status.capacity.storage).join()
      check(sizes === (mayGrow ? '2Gi,2Gi' : '1Gi,1Gi'), `the volumes have it where they may, saw ${sizes}`)
      await isReady(kube, 'brokersets', brokerSet, readyMs)
      const after = await podUids(kube, brokers)
      check(JSON.stringify([...after]) === JSON.stringify([...before]), 'the same pods run')
    },
  },
  {
    name: 'a cluster hibernates and wakes: messages, offsets and addresses are kept',
    async run(scene) {
      const { kube } = scene
      await kube.apply(topic('slept', {}))
      await isReady(kube, 'topics', 'slept', readyMs)
      const sleeper = { ...(await about(scene, 'slept')), group: 'sleeper' }
      await scene.talk.send({ ...sleeper, prefix: 'read-', count: 40 })
      await scene.talk.receive({ ...sleeper, expect: { 'read-': 40 } })
      await scene.talk.send({ ...sleeper, prefix: 'unread-', count: 60 })
      const addresses = await addressesOf(kube)
      await kube.patch('nameservers', 'mq', { spec: { hibernate: true } })
      await eventually('NameServers stay while brokers are awake', readyMs, async () => {
        const { reason } = conditionOf(await kube.find('nameservers', 'mq'), 'Hibernated') ?? {}
        return reason === 'InUse' || `${reason}`
      })
      await kube.patch('brokersets', brokerSet, { spec: { hibernate: true } })
      await eventually('all pods are gone', wakeMs, async () => {
        const [set, nameServer] = [await kube.find('brokersets', brokerSet), await kube.find('nameservers', 'mq')]
        const said = [set, nameServer].map((object) => conditionOf(object, 'Hibernated')?.status).join()
        const pods = await kube.list('pods')
        return (said === 'True,True' && pods.length === 0) || `Hibernated ${said}, ${pods.length} pods`
      })
      await reasonIs(kube, 'mq-orders', 'ClusterHibernated')

      for (const [kind, name] of [
        ['brokersets', brokerSet],
        ['nameservers', 'mq'],
      ] as const)
        await kube.patch(kind, name, { spec: { hibernate: false } })
      await isReady(kube, 'brokersets', brokerSet, wakeMs)
      await isReady(kube, 'topics', 'mq-orders', readyMs)
      check((await addressesOf(kube)).join() === addresses.join(), 'brokers have the addresses that they had')
      const queues = await scene.asked((admin) => admin.consumerLag('sleeper', 'slept'))
      const unread = queues.reduce((sum, { lag }) => sum + lag, 0)
      check(unread === 60, `60 messages are unread as before, saw ${unread}`)
      await scene.talk.receive({ ...sleeper, expect: { 'unread-': 60 } })
      await scene.settle() // what had been acknowledged before it slept; what comes after is looked at in the end
    },
  },
]

function topic(name: string, spec: object): object {
  const preset = { brokerSetRef: { name: brokerSet }, queues: { perBroker: 4 } }
  return { apiVersion, kind: 'Topic', metadata: { name }, spec: { ...preset, ...spec } }
}

async function about(scene: Scene, name: string): Promise<{ namesrv: string; topic: string }> {
  return { namesrv: await scene.namesrv(), topic: name }
}

/** Of the masters, by group. */
async function addressesOf(kube: Kube): Promise<string[]> {
  const { status } = await kube.find('brokersets', brokerSet)
  return status.groupStatuses.map(({ address }: Item) => address)
}

/** What each group has of a topic. */
async function placesOf(scene: Scene, name: string): Promise<{ perms: (number | 'none')[]; queues: string[] }> {
  const addresses = await addressesOf(scene.kube)
  const configs = await scene.asked((admin) =>
    Promise.all(
      addresses.map((address) =>
        admin.topicConfig(address, name).catch((error): TopicConfig | undefined => {
          if (isRefusal(error, ResponseCode.TOPIC_NOT_EXIST)) return undefined
          throw error
        }),
      ),
    ),
  )
  return {
    perms: configs.map((config) => config?.perm ?? 'none'),
    queues: configs.map((config) => (config ? `${config.writeQueueNums} of ${config.readQueueNums}` : 'none')),
  }
}

/** By group, as in "2 of 4, none": producers send to two of four queues of the first, the second has none. */
async function queuesOf(scene: Scene, name: string): Promise<string> {
  return (await placesOf(scene, name)).queues.join(', ')
}

function reasonIs(kube: Kube, name: string, reason: string): Promise<void> {
  return eventually(`Topic ${name} says ${reason}`, readyMs, async () => {
    const object = await kube.find('topics', name)
    const ready = conditionOf(object, 'Ready')
    const isOfNow = ready?.observedGeneration === object.metadata.generation
    return (isOfNow && ready.status !== 'True' && ready.reason === reason) || String(readiness(object))
  })
}

/** The local cluster has no classes, and its volumes grow. */
async function mayVolumesGrow(scene: Scene): Promise<boolean> {
  if (!(scene instanceof Stage)) return true
  const [claim] = await scene.kube.list('persistentvolumeclaims', brokers)
  const storageClass = await scene.kube.find('storageclasses', claim.spec.storageClassName)
  return storageClass?.allowVolumeExpansion === true
}
