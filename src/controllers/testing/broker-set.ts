import { label } from '../../crds/index.ts'
import type { Pod } from '../../kube/index.ts'
import { revisionOf } from '../brokerset/objects.ts'
import type { Observed, ObservedGroup, ObservedMember } from '../brokerset/observe.ts'
import { plan } from '../brokerset/plan.ts'
import { keptGroups } from '../brokerset/scale-in.ts'
import type { BrokerSet } from '../resources.ts'
import { brokerSet, pod, service, statefulSet } from './resources.ts'

export const image = 'localhost/mq:1'
export const nowMs = Date.parse('2026-01-02T03:04:05Z')
export const ip = (index: number, ordinal = 0) => `10.96.${ordinal}.${index + 1}`

export const nameServers: Observed['nameServers'] = {
  address: 'mq-0.mq-headless.shop.svc:9876',
  isUsable: true,
  expected: 1,
  answers: [{ namesrvAddr: 'mq:9876', brokers: new Map() }],
  trouble: undefined,
}

export const facts = (index: number, desired = brokerSet()) => ({
  brokerIPs: [ip(index)],
  replicas: 1,
  revision: revisionOf(desired, [], image),
  isDataRoots: false,
  isAdmitted: true,
})

export function hashOf(desired: BrokerSet): string {
  return revisionOf(desired, [], image).madeFor
}

/** A broker that serves, with the settings of `desired`: the group's master, or a slave that is in sync. */
export function member(
  index: number,
  ordinal: number,
  desired: BrokerSet,
  given: Partial<ObservedMember> = {},
): ObservedMember {
  const name = `b-${index}-${ordinal}`
  const role = ordinal === 0 ? 'master' : 'slave'
  return {
    ordinal,
    name,
    service: service(name, ip(index, ordinal)),
    pod: labelled(pod(name, { hash: hashOf(desired) }), role),
    isPodReady: true,
    registeredCount: 1,
    sync: ordinal === 0 ? undefined : { lagBytes: 0 },
    settings: undefined,
    diskUsedRatio: undefined,
    ...given,
  }
}

export function labelled(found: Pod, role: string): Pod {
  return { ...found, metadata: { ...found.metadata, labels: { [label.role]: role } } }
}

export type Given = Partial<Omit<ObservedGroup, 'members'> & ObservedMember> & { slaves?: Partial<ObservedMember>[] }

/** A group that serves, with the settings of `desired`; what is given of a member is given of its master. */
export function group(index: number, desired = brokerSet(), given: Given = {}): ObservedGroup {
  const hash = hashOf(desired)
  const { slaves = [], ...rest } = given
  return {
    index,
    brokerName: `b-${index}`,
    statefulSet: statefulSet(`b-${index}`, hash, { replicas: 1 + slaves.length }),
    drainingSince: undefined,
    drain: undefined,
    isDataRoots: false,
    isAdmitted: true,
    held: undefined,
    ...rest,
    members: [member(index, 0, desired, rest), ...slaves.map((slave, at) => member(index, at + 1, desired, slave))],
  }
}

/** A group of which nothing exists yet. */
export function missing(index: number, given: Given = {}): ObservedGroup {
  const nothing = { statefulSet: undefined, service: undefined, pod: undefined, isPodReady: false, registeredCount: 0 }
  return group(index, brokerSet(), { ...nothing, ...given })
}

export function look(
  desired: BrokerSet,
  groups: ObservedGroup[],
  given: Partial<Observed['nameServers']> = {},
  budgets: string[] = [],
) {
  const last = groups.at(-1) as ObservedGroup
  const kept = keptGroups(desired, last.index, last.statefulSet)
  const observed = { nameServers: { ...nameServers, ...given }, kept, groups, budgets, volumes: undefined }
  const planned = plan(desired, observed, image, nowMs)
  return {
    ...planned,
    ready: planned.verdicts.find(({ type }) => type === 'Ready'),
    blocked: planned.verdicts.find(({ type }) => type === 'ScaleInBlocked'),
    events: planned.notes.map(({ reason }) => reason).filter((reason) => reason !== 'GroupServing'),
    done: planned.steps.map((step) =>
      step.do === 'setPermission'
        ? `permission ${step.brokerName} ${step.permission}`
        : step.do === 'label'
          ? `label ${step.pod.metadata.name} ${step.role}`
          : step.do !== 'resize' && !('object' in step)
            ? `${step.do} ${'settings' in step ? `${step.brokerAddr} ${Object.entries(step.settings)}` : step.brokerName}`
            : step.do === 'resize'
              ? `resize ${step.claim.metadata.name}`
              : `${step.do} ${step.type.kind} ${step.object.metadata.name}`,
    ),
  }
}
