import type { z } from 'zod'
import { messageOf, OperatingError } from '../../base/errors.ts'
import { bytesOf } from '../../base/quantity.ts'
import { type HaStatus, subscriptionGroupConfig } from '../../client/index.ts'
import { annotation, consumerGroupSpec, label, topicSpec } from '../../crds/index.ts'
import {
  controllerOf,
  isRefused,
  type KubeObject,
  keyOf,
  type PersistentVolumeClaim,
  type Pod,
  persistentVolumeClaims,
  type Service,
  type StatefulSet,
  type StorageClass,
  statefulSets,
  storageClasses,
} from '../../kube/index.ts'
import type { BrokerGroup, BrokerTopic, Unclaimed, Unread } from '../admin.ts'
import { wantedGroup } from '../consumergroup/plan.ts'
import { misfitIn } from '../nameserver/objects.ts'
import { ordinalOf as podOrdinalOf } from '../nameserver/observe.ts'
import type { Declared } from '../on-brokers/plan.ts'
import { isSpeaker } from '../on-brokers/reconcile.ts'
import { handsOver, isPodReady } from '../pods.ts'
import { follow, targetKey } from '../references.ts'
import { type BrokerSet, brokerPort, hostPort, namesrvPort } from '../resources.ts'
import type { Shell } from '../shell.ts'
import { isPlacedOn, wantedTopic } from '../topic/wanted.ts'
import { consumersBackMs } from '../unread.ts'
import type { Sight } from '../world.ts'
import { clusterNameOf, groupName, liveSettingsOf, memberName, ordinalOf, settingsState } from './objects.ts'
import { areProducersTold, keptGroups } from './scale-in.ts'
import { areVolumesSettled, type ObservedVolumes } from './volumes.ts'

/** What is known of the NameServers that a BrokerSet registers at. */
export interface ObservedNameServers {
  /** namesrvAddr for clients; undefined: there is none yet. */
  address: string | undefined
  /** Whether brokers may be started: at least one NameServer answers. */
  isUsable: boolean
  /** How many there should be. */
  expected: number
  /** Those that gave an answer: the addresses of the brokers of this cluster, by registrationKey. */
  answers: { namesrvAddr: string; brokers: ReadonlyMap<string, string> }[]
  /** Why fewer than expected answered. */
  trouble: string | undefined
}

/** How much of its master's log a slave has; or why nobody can tell. */
export type Sync = { lagBytes: number } | { trouble: string }

export interface ObservedMember {
  ordinal: number // its brokerId: 0 is the master
  name: string
  service: Service | undefined
  pod: Pod | undefined
  isPodReady: boolean
  /** NameServers that know the broker under its present address. */
  registeredCount: number
  /** Of a slave whose pod runs. */
  sync: Sync | undefined
  /** What it runs with; undefined: it was not asked, since it had what it should lately, or does not answer. */
  settings: ReadonlyMap<string, string> | undefined
  /** How full its volume is, 0 to 1; undefined: nobody knows. */
  diskUsedRatio: number | undefined
}

export interface ObservedGroup {
  index: number
  brokerName: string
  statefulSet: StatefulSet | undefined
  /** By ordinal, the master first: those wanted, and those that are still there. */
  members: [ObservedMember, ...ObservedMember[]]
  /** RFC 3339; undefined: it is not being taken away. */
  drainingSince: string | undefined
  /** Whether its volume belongs to root and stays so, see podOf. */
  isDataRoots: boolean
  /** Whether the master was given its topics and groups once: it registers by itself since. */
  isAdmitted: boolean
  /** Of a master that waits to be let go: what it lacks. undefined: it does not wait, or does not answer yet. */
  held: { topics: readonly BrokerTopic[]; groups: readonly BrokerGroup[] } | undefined
  /** Of the group that goes next: what its master says. */
  drain:
    | {
        permission: number
        unread: readonly Unread[]
        /** Not all was asked, since it is not time to go: an empty list means nothing. */
        isPartial: boolean
        /** As far as anybody knows all is read; but it began a moment ago, see consumersBackMs. */
        isFresh?: boolean
        /** What no group has to read; undefined: not asked, since it does not go now, or nobody knows. */
        unclaimed?: readonly Unclaimed[] | undefined
      }
    | { trouble: string }
    | undefined
}

export interface Observed {
  nameServers: ObservedNameServers
  /** How many groups stay: more than spec.groups where they may not go. */
  kept: number
  /** Ordered by index: those wanted, and those that are still there. */
  groups: ObservedGroup[]
  /** Names of the PodDisruptionBudgets that the set has. */
  budgets: readonly string[]
  /** undefined: not asked for, since all volumes were seen with the size that is wanted. */
  volumes: ObservedVolumes | undefined
}

/** What NameServers know a broker by, besides its address. */
export function registrationKey(brokerName: string, brokerId: number): string {
  return `${brokerName} ${brokerId}`
}

/** Looks at Kubernetes, asks every NameServer for its brokers, groups how far their slaves are, and the group that goes next for what is unread. */
export async function observe(desired: BrokerSet, shell: Shell): Promise<Observed> {
  const nameServers = await observeNameServers(desired, shell)
  const { world } = shell
  const { name } = desired.metadata
  const uid = desired.metadata.uid as string
  const ownServices = world.services.by('owner', uid)
  const ownPods = world.pods.by('brokerSet', keyOf(desired))
  const children = world.statefulSets.by('owner', uid)
  // By any child: an operator that died while it removed a group has left the others of them.
  const present = [...children, ...ownServices, ...world.configMaps.by('owner', uid)]
    .filter((child) => controllerOf(child)?.uid === uid)
    .map(indexOf)
    .filter(Number.isInteger)
  const indexes = [...new Set([...Array(desired.spec.groups).keys(), ...present])].sort((a, b) => a - b)
  const last = indexes.at(-1) as number
  // it decides whether what is left may go at once: a cache that lags must not
  const lastStatefulSet =
    children.find((child) => indexOf(child) === last) ??
    (last >= desired.spec.groups ? await liveStatefulSet(groupName(name, last), desired, shell) : undefined)
  const kept = keptGroups(desired, last, lastStatefulSet)
  const isRootsByClass = children.length < indexes.length && (await makesRootsVolumes(desired, shell))

  const groups = await Promise.all(
    indexes.map(async (index): Promise<ObservedGroup> => {
      const brokerName = groupName(name, index)
      const retires = index >= kept && index === last
      const statefulSet =
        index === last ? lastStatefulSet : children.find((child) => child.metadata.name === brokerName)
      const there = [...ownServices, ...ownPods].filter((child) => indexOf(child) === index).map(ordinalOf)
      const wanted = index < kept ? desired.spec.slavesPerGroup : 0
      const ordinals = [...new Set([...Array(1 + wanted).keys(), ...there])].sort((a, b) => a - b)
      const found = ordinals.map((ordinal) => observeMember(desired, index, ordinal, nameServers, shell))
      const [master, ...slaves] = found as [ObservedMember, ...ObservedMember[]]
      const drainingSince = statefulSet?.metadata.annotations?.[annotation.drainingSince]
      const address = addressOf(master.service)
      const { registeredCount, pod } = master
      const isHoldable = address !== undefined && registeredCount === 0 && pod?.status?.phase === 'Running'
      const [syncs, settings, disks, held, drain] = await Promise.all([
        observeSync(master, slaves, shell),
        Promise.all(found.map((member) => observeSettings(desired, member, drainingSince !== undefined, shell))),
        Promise.all(found.map((member) => observeDisk(member, shell))),
        isHoldable ? observeHeld(brokerName, address, desired, shell) : undefined,
        retires && address !== undefined
          ? observeDrain(
              address,
              addressesOf(desired, brokerName),
              { isPartial: !areProducersTold(drainingSince, shell.clock.now()), paused: desired.spec.paused },
              shell,
            )
          : undefined,
      ])
      return {
        index,
        brokerName,
        statefulSet,
        members: [
          { ...master, settings: settings[0], diskUsedRatio: disks[0] },
          ...slaves.map((slave, at) => ({
            ...slave,
            sync: syncs[at],
            settings: settings[at + 1],
            diskUsedRatio: disks[at + 1],
          })),
        ],
        drainingSince,
        isAdmitted: registeredCount > 0 || statefulSet?.metadata.annotations?.[annotation.admitted] === 'true',
        isDataRoots: statefulSet ? handsOver(statefulSet) : isRootsByClass,
        held,
        drain,
      }
    }),
  )
  const budgets = world.podDisruptionBudgets.by('owner', uid).map(({ metadata }) => metadata.name)
  const isSettled = groups.every((group) => group.index >= kept || areVolumesSettled(desired, group.statefulSet))
  const volumes = desired.spec.storage.ephemeral || isSettled ? undefined : await observeVolumes(desired, shell)
  return { nameServers, kept, groups, budgets, volumes }
}

/** Index of the group that a child belongs to; NaN: to none. */
function indexOf({ metadata }: KubeObject): number {
  return Number(metadata.labels?.[label.group])
}

function observeMember(
  { metadata }: BrokerSet,
  index: number,
  ordinal: number,
  { answers }: ObservedNameServers,
  { world }: Shell,
): ObservedMember {
  const name = memberName(metadata.name, index, ordinal)
  const key = keyOf({ metadata: { namespace: metadata.namespace ?? '', name } })
  const service = world.services.get(key)
  const pod = world.pods.get(key)
  const address = addressOf(service)
  const registration = registrationKey(groupName(metadata.name, index), ordinal)
  const isPodReadyNow = pod !== undefined && isPodReady(pod)
  const knowing = answers.filter(({ brokers }) => address !== undefined && brokers.get(registration) === address)
  return {
    ordinal,
    name,
    service,
    pod,
    isPodReady: isPodReadyNow,
    registeredCount: knowing.length,
    sync: undefined,
    settings: undefined,
    diskUsedRatio: undefined,
  }
}

/** Asks a broker for its settings, unless it was seen with those that it should have, not long ago. */
async function observeSettings(
  desired: BrokerSet,
  { ordinal, service, pod, isPodReady }: ObservedMember,
  isDraining: boolean,
  shell: Shell,
): Promise<ObservedMember['settings']> {
  const address = addressOf(service)
  if (address === undefined || !isPodReady) return undefined
  const wanted = liveSettingsOf(desired, ordinal, isDraining)
  if (shell.settledBrokers.has(address, settingsState(wanted, pod))) return undefined
  try {
    return await shell.admin.settings(address)
  } catch (error) {
    shell.log.debug({ brokerAddr: address, err: messageOf(error) }, 'the broker does not say its settings')
    return undefined
  }
}

async function observeDisk({ service, isPodReady }: ObservedMember, shell: Shell): Promise<number | undefined> {
  const address = addressOf(service)
  return address === undefined || !isPodReady ? undefined : shell.diskUse.of(address)
}

/** Asks the master first: what a slave has when it is asked later may be more, and never counts as less than it was. */
async function observeSync(
  master: ObservedMember,
  slaves: readonly ObservedMember[],
  shell: Shell,
): Promise<(Sync | undefined)[]> {
  const running = slaves.filter(({ pod }) => pod?.status?.phase === 'Running')
  if (running.length === 0) return []
  const end = await askHaStatus(master, shell)
  return Promise.all(
    slaves.map(async (slave): Promise<Sync | undefined> => {
      if (!running.includes(slave)) return undefined
      if ('trouble' in end) return { trouble: `its master does not answer: ${end.trouble}` }
      const own = await askHaStatus(slave, shell)
      if ('trouble' in own) return { trouble: `it does not answer: ${own.trouble}` }
      const { activated = false, masterAddr = '', maxOffset = 0 } = own.haClientRuntimeInfo ?? {}
      if (masterAddr === '') return { trouble: 'no NameServer has told it yet where its master is' }
      if (!activated) return { trouble: `it does not copy its master's log from ${masterAddr}` }
      return { lagBytes: Math.max(0, end.masterCommitLogMaxOffset - maxOffset) }
    }),
  )
}

async function askHaStatus({ service }: ObservedMember, { admin }: Shell): Promise<HaStatus | { trouble: string }> {
  const address = addressOf(service)
  if (address === undefined) return { trouble: 'its Service has no address' }
  try {
    return await admin.haStatus(address)
  } catch (error) {
    return { trouble: messageOf(error) }
  }
}

async function liveStatefulSet(name: string, { metadata }: BrokerSet, shell: Shell): Promise<StatefulSet | undefined> {
  return shell.client.get<StatefulSet>(statefulSets, metadata.namespace ?? '', name, shell.signal)
}

/** The broker's address as it registers it; undefined until its Service has one. */
export function addressOf(service: Service | undefined): string | undefined {
  const ip = service?.spec?.clusterIP
  if (ip === undefined || ip === '' || ip === 'None') return undefined
  return hostPort(ip, brokerPort)
}

/** Provisioners whose volumes belong to root and to which Kubernetes does not apply a pod's fsGroup. */
const rootsProvisioners = ['kubernetes.io/host-path']

/** Whether volumes of the set's StorageClass cannot be written by anybody but root. */
async function makesRootsVolumes({ spec }: BrokerSet, shell: Shell): Promise<boolean> {
  const { ephemeral, className } = spec.storage
  if (ephemeral) return false
  const classes = await listStorageClasses(shell)
  const isDefault = ({ metadata }: StorageClass) =>
    metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true'
  const used = classes.find((one) => (className === undefined ? isDefault(one) : one.metadata.name === className))
  return used !== undefined && rootsProvisioners.includes(used.provisioner)
}

async function observeVolumes(desired: BrokerSet, shell: Shell): Promise<ObservedVolumes> {
  const { name, namespace } = desired.metadata
  const selection = { type: persistentVolumeClaims, namespace, labelSelector: `${label.brokerSet}=${name}` }
  try {
    const claims: PersistentVolumeClaim[] = []
    let next: string | undefined
    do {
      const page = await shell.client.listPage<PersistentVolumeClaim>(selection, { limit: 500, next }, shell.signal)
      claims.push(...page.items)
      next = page.next
    } while (next !== undefined)
    const size = bytesOf(desired.spec.storage.size)
    const grows = claims.some(({ spec }) => bytesOf(spec?.resources?.requests?.storage ?? 0) < size)
    return { claims, classes: grows ? await listStorageClasses(shell) : [] }
  } catch (error) {
    shell.signal.throwIfAborted()
    return { trouble: messageOf(error) } // brokers are no less well for that
  }
}

async function listStorageClasses(shell: Shell): Promise<StorageClass[]> {
  try {
    return (await shell.client.listPage<StorageClass>({ type: storageClasses }, { limit: 500 }, shell.signal)).items
  } catch (error) {
    if (isRefused(error, 404)) return [] // an API server without storage classes
    if (isRefused(error, 403)) return [] // a set is none the worse for that: what is not done then is told when the operator starts
    throw error
  }
}

async function observeNameServers(desired: BrokerSet, shell: Shell): Promise<ObservedNameServers> {
  const { spec } = desired
  if (spec.externalNameServers) {
    const asked = await ask(spec.externalNameServers, desired, shell)
    const { length } = spec.externalNameServers
    return { address: spec.externalNameServers.join(';'), isUsable: true, expected: length, ...asked }
  }
  const ref = spec.nameServerRef ?? { name: '' }
  const found = follow(desired, ref, shell.world.nameServers, shell.world)
  if (found.is !== 'there') {
    return { address: undefined, isUsable: false, expected: 0, answers: [], trouble: found.message }
  }
  const { object: nameServer } = found
  const key = targetKey(desired, ref)
  // by pod address: names are for those who live in the cluster, and the operator may run outside
  const pods = shell.world.pods.by('nameServer', key).filter((pod) => pod.metadata.deletionTimestamp === undefined)
  const ready = pods.filter(isPodReady).length
  const { replicas = pods.length, paused } = nameServer.spec
  const isHalted = paused || misfitIn(nameServer) !== undefined
  const expected = isHalted ? pods.length : replicas // how many it asks for is not how many will be
  const staying = isHalted ? pods : pods.filter((pod) => podOrdinalOf(pod) < replicas) // one that goes stands for none that stays
  const addresses = staying.flatMap(({ status }) => (status?.podIP ? [hostPort(status.podIP, namesrvPort)] : []))
  const asked = ready > 0 ? await ask(addresses, desired, shell) : { answers: [], trouble: 'no NameServer is ready' }
  return { address: nameServer.status?.address, isUsable: ready > 0, expected, ...asked }
}

async function ask(addresses: readonly string[], desired: BrokerSet, shell: Shell) {
  const clusterName = clusterNameOf(desired)
  const troubles = new Map<string, string>()
  const answers = await Promise.all(
    addresses.map(async (namesrvAddr) => {
      try {
        const places = await shell.admin.brokers(namesrvAddr)
        const own = places.filter((place) => place.clusterName === clusterName)
        const brokers = own.map((place): [string, string] => {
          return [registrationKey(place.brokerName, place.brokerId), place.brokerAddr]
        })
        return [{ namesrvAddr, brokers: new Map(brokers) }]
      } catch (error) {
        troubles.set(namesrvAddr, `${namesrvAddr}: ${messageOf(error)}`)
        return []
      }
    }),
  )
  const first = addresses.find((namesrvAddr) => troubles.has(namesrvAddr)) // not whichever failed sooner this time
  return { answers: answers.flat(), trouble: first && troubles.get(first) }
}

/** The masters of the set, but one, at the addresses that they were last seen at. */
function addressesOf({ status }: BrokerSet, except: string): string[] {
  return (status?.groupStatuses ?? []).flatMap(({ name, address }) => (name === except ? [] : (address ?? [])))
}

/** What a broker that waits to be let go lacks: topics and groups of resources, and the groups that another broker has. */
async function observeHeld(
  brokerName: string,
  brokerAddr: string,
  desired: BrokerSet,
  shell: Shell,
): Promise<ObservedGroup['held']> {
  try {
    if (!(await shell.admin.isHeld(brokerAddr))) return undefined
    const [has, hasGroups] = await Promise.all([shell.admin.topics(brokerAddr), shell.admin.groups(brokerAddr)])
    const peer = desired.status?.groupStatuses?.find(
      ({ state, address }) => state === 'Serving' && address !== brokerAddr,
    )
    const groups = new Map(peer?.address === undefined ? [] : await shell.admin.groups(peer.address))
    const { consumerGroups, topics: allTopics } = shell.world
    for (const resource of speakers(consumerGroups, desired, consumerGroupSpec, shell)) {
      const wanted = wantedGroup(resource)
      groups.set(
        wanted.groupName,
        subscriptionGroupConfig(wanted.groupName, { ...groups.get(wanted.groupName), ...wanted }),
      )
    }
    const topics = speakers(allTopics, desired, topicSpec, shell)
      .filter((topic) => isPlacedOn(topic, brokerName))
      .map(wantedTopic)
    return {
      topics: topics.filter(({ topicName }) => !has.has(topicName)),
      groups: [...groups.values()].filter(({ groupName }) => !hasGroups.has(groupName)),
    }
  } catch (error) {
    shell.log.debug({ brokerAddr, err: messageOf(error) }, 'the broker does not answer yet')
    return undefined
  }
}

/** Resources whose things the brokers of a set are to have: those that own them. One that cannot be read says so itself, and holds up no broker. */
function speakers<R extends Declared>(
  sight: Sight<R>,
  brokerSet: BrokerSet,
  schema: z.ZodType<R['spec']>,
  { world }: Shell,
): R[] {
  return sight.by('brokerSet', keyOf(brokerSet)).flatMap((resource) => {
    if (!isSpeaker(resource, sight, world)) return []
    const { success, data } = schema.safeParse(resource.spec)
    return success && !data.paused ? [{ ...resource, spec: data }] : []
  })
}

/** How long a pass may ask who has to read: the rest of the set has its turn in the same pass. */
const drainAskMsMax = 30_000

export async function observeDrain(
  brokerAddr: string,
  peerAddrs: readonly string[],
  { isPartial, paused }: { isPartial: boolean; paused: boolean },
  { admin, clock, signal }: Pick<Shell, 'admin' | 'clock' | 'signal'>,
): Promise<ObservedGroup['drain']> {
  const late = new AbortController()
  const timer = clock.after(drainAskMsMax, () =>
    late.abort(new OperatingError('DEADLINE_EXCEEDED', { what: 'asking who has to read', drainAskMsMax })),
  )
  try {
    const until = AbortSignal.any([signal, late.signal])
    const permission = await admin.permission(brokerAddr)
    const unread = await admin.unread(brokerAddr, peerAddrs, isPartial, until)
    const found = { permission, unread, isPartial }
    if (isPartial || unread.length > 0) return found
    // asked last: one that began anew in the meantime is fresh
    if ((await admin.uptimeMs(brokerAddr)) < consumersBackMs) return { ...found, isFresh: true }
    if (paused) return found
    const unclaimed = await admin.unclaimed(brokerAddr, until).catch(() => undefined) // it is for people to know alone
    return { ...found, unclaimed }
  } catch (error) {
    signal.throwIfAborted()
    return { trouble: messageOf(error) }
  } finally {
    timer.cancel()
  }
}
