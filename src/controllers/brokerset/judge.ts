import type { GroupStatus } from '../../crds/index.ts'
import { type Readiness, readiness, type Verdict, verdict } from '../conditions.ts'
import { podTrouble } from '../pod-trouble.ts'
import { ofOne } from '../words.ts'
import { addressOf, type ObservedMember, type ObservedNameServers, registrationKey } from './observe.ts'

/**
 * A slave that lacks more than this is not in sync: it could not stand in for its master, and nothing else is restarted
 * before it has caught up. Narrower than Apache's haMaxGapNotInSync (256 MiB), which a broker misses in a minute's restart.
 */
export const inSyncLagBytesMax = 16 * 1024 * 1024
const namedMax = 3

/** Reason of Registered, and of an event, when brokers have not come for long. */
export const registrationMissing = 'RegistrationMissing'

export function isInSync({ ordinal, sync }: ObservedMember): boolean {
  return ordinal === 0 || (sync !== undefined && 'lagBytes' in sync && sync.lagBytes <= inSyncLagBytesMax)
}

/** Whether a broker is all that it should be: it runs, every NameServer knows it, and a slave has what its master has. */
export function isWhole(member: ObservedMember, nameServers: number): boolean {
  return member.isPodReady && nameServers > 0 && member.registeredCount >= nameServers && isInSync(member)
}

/** Bytes in a power of two: a status that changed with every byte would be written all the time. */
export function lagText(bytes: number): string {
  const mebibytes = 2 ** Math.floor(Math.log2(bytes / 2 ** 20))
  return mebibytes < 1024 ? `${mebibytes}MiB` : `${mebibytes / 1024}GiB`
}

interface StayingGroup {
  brokerName: string
  members: readonly ObservedMember[]
}

export interface Evidence {
  /** How many groups there are to be. */
  wanted: number
  nameServers: ObservedNameServers
  statuses: readonly GroupStatus[]
  /** Brokers that have yet to restart. */
  outdated: number
  /** Groups that stay, with the brokers that they are to have. */
  staying: readonly StayingGroup[]
  /** Slaves that are going. */
  surplus: readonly ObservedMember[]
  /** Brokers that have had the time to register, and are not known to all NameServers. */
  missing: readonly string[]
  /** Brokers that run with settings that are not those wanted, and are left so. */
  unsettled: readonly { name: string }[]
  /** Why it is not what was asked for, and will not be without a person. */
  stall: Readiness | undefined
}

/** What is to be said of a set: Ready and its companions, then of what that consists. */
export function verdictsOf(evidence: Evidence): Verdict[] {
  const { nameServers, staying, missing } = evidence
  const judged = judge(evidence)
  const members = staying.flatMap((group) => group.members)
  const slaves = members.filter(({ ordinal }) => ordinal > 0)
  const known = members.filter(({ ordinal, registeredCount }) => ordinal === 0 && registeredCount > 0).length

  const unregistered = staying.flatMap(({ brokerName, members }) =>
    members
      .filter(({ registeredCount }) => registeredCount < Math.max(1, nameServers.expected))
      .map((member) => `${member.name} is ${whereKnown(member, brokerName, nameServers)}`),
  )
  const behind = slaves.filter((slave) => !isInSync(slave)).map((slave) => `${slave.name}: ${syncTrouble(slave)}`)
  const registered = members.length - unregistered.length
  const inSync = slaves.length - behind.length
  return [
    ...readiness(judged),
    verdict('Available', known > 0, judged.reason, `${known} ${ofOne(known, 'broker takes', 'brokers take')} messages`),
    verdict(
      'Registered',
      unregistered.length === 0,
      unregistered.length === 0 ? 'AllRegistered' : missing.length > 0 ? registrationMissing : 'NotRegistered',
      listed(`${registered} of ${members.length} brokers are registered everywhere`, unregistered),
    ),
    verdict(
      'InSync',
      behind.length === 0,
      behind.length > 0 ? 'NotInSync' : slaves.length > 0 ? 'AllInSync' : 'NoSlaves',
      slaves.length === 0
        ? 'there are no slaves'
        : listed(`${inSync} of ${slaves.length} slaves have what their masters have`, behind),
    ),
  ]
}

function judge({ wanted, nameServers, statuses, outdated, staying, surplus, unsettled, stall }: Evidence): Readiness {
  if (!nameServers.isUsable) {
    return { status: 'False', reason: 'NameServerNotReady', message: nameServers.trouble ?? 'no NameServer is ready' }
  }
  const lacks = staying.flatMap(({ brokerName, members }) =>
    members.flatMap((member) => {
      const lack = lackOf(member, brokerName, nameServers)
      return lack ? [{ ...lack, member }] : []
    }),
  )
  const worst = lacks.find(({ member }) => member.ordinal === 0) ?? lacks[0]
  if (worst) {
    const serving = statuses.filter(({ state }) => state === 'Serving').length
    const who = `${worst.member.ordinal === 0 ? '' : 'slave '}${worst.member.name}`
    const more = lacks.length > 1 ? ` (and ${lacks.length - 1} more)` : ''
    const message = `${serving} of ${wanted} groups serve; ${who}: ${worst.message}${more}`
    return { status: 'False', reason: worst.reason, message }
  }
  if (outdated > 0) {
    return {
      status: 'False',
      reason: 'RollingOut',
      message: `${outdated} ${ofOne(outdated, 'broker has', 'brokers have')} yet to restart with new settings`,
    }
  }
  const draining = statuses.find(({ state }) => state === 'Draining')
  if (draining) {
    const blocker = draining.draining?.blockers?.[0]
    return {
      status: 'False',
      reason: 'ScalingIn',
      message: `${draining.name} is leaving${blocker ? `: ${blocker}` : ''}`,
    }
  }
  if (surplus.length > 0) {
    const names = surplus.map(({ name, pod }) => (pod ? name : `${name}, known to a NameServer still,`))
    return {
      status: 'False',
      reason: 'ScalingIn',
      message: `${names.join(', ')} ${ofOne(names.length, 'is', 'are')} leaving`,
    }
  }
  if (unsettled.length > 0) {
    const names = unsettled.slice(0, namedMax).map(({ name }) => name)
    const message = `${names.join(', ')} ${ofOne(names.length, 'runs', 'run')} with other settings`
    return { status: 'False', reason: 'SettingsDiffer', message }
  }
  if (stall) return stall
  return { status: 'True', reason: 'AllServing', message: `${wanted} of ${wanted} groups serve` }
}

/** What a broker lacks to be whole. */
function lackOf(
  member: ObservedMember,
  brokerName: string,
  nameServers: ObservedNameServers,
): { reason: string; message: string } | undefined {
  if (isWhole(member, nameServers.expected)) return undefined
  if (addressOf(member.service) === undefined) {
    return { reason: 'WaitingForAddress', message: 'its Service has no address yet' }
  }
  const isBehind = !isInSync(member)
  if (isBehind && member.sync) return { reason: 'NotInSync', message: syncTrouble(member) }
  if (!member.isPodReady) return { reason: 'PodsNotReady', message: withRemedy(podTrouble(member.pod, member.name)) }
  if (isBehind) return { reason: 'NotInSync', message: syncTrouble(member) }
  const why = nameServers.trouble === undefined ? '' : `; ${nameServers.trouble}`
  return { reason: 'NotRegistered', message: `${whereKnown(member, brokerName, nameServers)}${why}` }
}

function whereKnown(
  { ordinal, service, registeredCount }: ObservedMember,
  brokerName: string,
  { answers, expected }: ObservedNameServers,
): string {
  const address = addressOf(service)
  const without = answers.filter(({ brokers }) => brokers.get(registrationKey(brokerName, ordinal)) !== address)
  const isPart = without.length > 0 && registeredCount > 0
  const where = isPart ? `, not to ${without.map(({ namesrvAddr }) => namesrvAddr).join(', ')}` : ''
  return `known to ${registeredCount} of ${expected} NameServers${where}`
}

function syncTrouble({ sync }: ObservedMember): string {
  if (sync === undefined) return 'its pod does not run'
  if ('trouble' in sync) return sync.trouble
  return `it lacks at least ${lagText(sync.lagBytes)} of its master's log`
}

function withRemedy(trouble: string): string {
  if (!trouble.includes('anti-affinity')) return trouble
  return `${trouble} (podTemplate.affinity: {} lets the brokers of a group share a node)`
}

function listed(summary: string, troubles: readonly string[]): string {
  if (troubles.length === 0) return summary
  const more = troubles.length > namedMax ? `; and ${troubles.length - namedMax} more` : ''
  return `${summary}; ${troubles.slice(0, namedMax).join('; ')}${more}`
}
