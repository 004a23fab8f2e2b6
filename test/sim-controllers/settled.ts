import { podHashOf } from '../../src/controllers/pods.ts'
import type { BrokerSet, ConsumerGroup, NameServer, Topic } from '../../src/controllers/resources.ts'
import { brokerKey } from '../../src/controllers/testing/brokers.ts'
import { label, liveBrokerSettings } from '../../src/crds/index.ts'
import type { KubeObject, Pod, StatefulSet } from '../../src/kube/index.ts'
import type { Stage } from './stage.ts'

/** What is not as it was asked for: what resources say of themselves, and what is. */
export function unsettledOf(stage: Stage): string[] {
  return [...unready(stage), ...unlikeNameServers(stage), ...unlikeBrokers(stage), ...leftovers(stage)]
}

/** Groups that stay although they are too many. */
const refusals = ['ScaleInRefused', 'ScaleInAborted']

function readyOf({ status }: BrokerSet) {
  return status?.conditions?.find(({ type }) => type === 'Ready')
}

function unready(stage: Stage): string[] {
  const not: string[] = []
  for (const plural of ['nameservers', 'brokersets', 'topics', 'consumergroups']) {
    const resource = stage.resource<BrokerSet>(plural)
    const ready = resource && readyOf(resource)
    const isRefused = refusals.includes(ready?.reason ?? '') // as asked, too
    const isSeen = ready?.observedGeneration === resource?.metadata.generation
    if (!isSeen || (ready?.status !== 'True' && !isRefused)) not.push(`${plural}: ${ready?.reason}: ${ready?.message}`)
    const rollout = resource?.status?.rollout
    if (rollout) not.push(`${plural}: its rollout has not ended: ${JSON.stringify(rollout)}`)
  }
  const group = stage.resource<ConsumerGroup>('consumergroups')
  const { resetOffset } = group?.spec ?? {}
  const { lastReset } = group?.status ?? {}
  const isWaiting = resetOffset?.force === false // for consumers, which are online from now on
  if (lastReset?.result === 'Running' || (resetOffset && lastReset?.requestId !== resetOffset.requestId && !isWaiting))
    not.push(`reset ${resetOffset?.requestId} has not ended: ${JSON.stringify(lastReset)}`)
  return not
}

function unlikeNameServers(stage: Stage): string[] {
  const nameServer = stage.resource<NameServer>('nameservers')
  const set = stage.statefulSets().find(({ metadata }) => metadata.name === 'mq')
  const own = stage.pods().filter(({ metadata }) => metadata.labels?.[label.nameServer] !== undefined)
  const not = own.filter((pod) => !isOf(set, pod)).map(({ metadata }) => `${metadata.name} is of another revision`)
  const { replicas } = nameServer?.spec ?? {}
  return own.length === replicas ? not : [...not, `there are ${own.length} NameServers, not ${replicas}`]
}

function isOf(set: StatefulSet | undefined, pod: Pod): boolean {
  return podHashOf(pod) === podHashOf(set?.spec?.template as never)
}

function groupsOf(stage: Stage): StatefulSet[] {
  return stage.statefulSets().filter(({ metadata }) => metadata.labels?.[label.group] !== undefined)
}

function unlikeBrokers(stage: Stage): string[] {
  const resource = stage.resource<BrokerSet>('brokersets')
  if (!resource) return ['there is no BrokerSet']
  const { spec } = resource
  const placement = stage.resource<Topic>('topics')?.spec.placement
  const groups = groupsOf(stage)
  const not: string[] = []
  const mayBeMore = spec.scaleIn?.policy === 'Refuse' || readyOf(resource)?.reason === 'ScaleInAborted'
  if (groups.length < spec.groups || (groups.length > spec.groups && !mayBeMore))
    not.push(`there are ${groups.length} groups, not ${spec.groups}`)
  for (const group of groups) {
    const index = group.metadata.labels?.[label.group]
    const own = stage.pods().filter(({ metadata }) => metadata.labels?.[label.group] === index)
    if (own.length !== 1 + (spec.slavesPerGroup ?? 0)) not.push(`${group.metadata.name} has ${own.length} brokers`)
    for (const pod of own) {
      const { name } = pod.metadata
      if (!isOf(group, pod)) not.push(`${name} is of another revision`)
      const broker = stage.pretended.brokers.get(brokerKey(pod))
      const wanted = liveBrokerSettings({ ...spec.config, autoCreateSubscriptionGroup: 'true' })
      for (const [key, value] of Object.entries(wanted)) {
        if (broker?.settings.get(key) !== value)
          not.push(`${name} has ${key}=${broker?.settings.get(key)}, not ${value}`)
      }
      if (!name.endsWith('-0')) continue
      const isPlaced = placement?.groups.includes(Number(index)) ?? true
      if (isPlaced !== broker?.topics.has('orders')) not.push(`${name} has ${isPlaced ? 'no' : 'the'} topic`)
      if (!broker?.groups.has('billing')) not.push(`${name} has no consumer group`)
    }
  }
  return not
}

/** Children of groups and of brokers that there are not any more. */
function leftovers(stage: Stage): string[] {
  const indexes = groupsOf(stage).map(({ metadata }) => metadata.labels?.[label.group])
  const { slavesPerGroup = 0 } = stage.resource<BrokerSet>('brokersets')?.spec ?? {}
  const collections = ['/services', '/configmaps', 'policy/poddisruptionbudgets']
  return collections.flatMap((collection) => {
    const children = stage.store.list(collection) as unknown as KubeObject[]
    const left = children.filter(({ metadata: { name, labels } }) => {
      const group = labels?.[label.group]
      if (group === undefined) return false
      const isSurplus = collection === '/services' && Number(name.split('-').at(-1)) > slavesPerGroup
      return isSurplus || !indexes.includes(group)
    })
    return left.map(({ metadata }) => `${collection} ${metadata.name} is left of what went`)
  })
}
