import type { Mutant } from '../sim/mutants/list.ts'

/** Bugs of controllers that seeds must find: one for each rule that is watched, and for what a bad network brings about. */
export const mutants: readonly Mutant[] = [
  {
    name: 'a group goes although not all is read',
    file: 'src/controllers/brokerset/scale-in.ts',
    find: 'isQuiet && isAnswering && drain.unread.length === 0 &&',
    replaceBy: 'isQuiet && isAnswering &&',
  },
  {
    name: 'a group goes before producers know',
    file: 'src/controllers/brokerset/scale-in.ts',
    find: 'Date.parse(drainingSince) >= drainQuietMs',
    replaceBy: 'Date.parse(drainingSince) >= 5_000',
  },
  {
    name: 'a broker is restarted while another one is down',
    file: 'src/controllers/roll.ts',
    find: 'isAllWhole && member.isReady && ',
    replaceBy: 'member.isReady && ',
  },
  {
    name: 'a NameServer is restarted before the others know all brokers',
    file: 'src/controllers/nameserver/plan.ts',
    find: 'member.isReady && knowsAll(member, members, nowMs)',
    replaceBy: 'member.isReady',
  },
  {
    name: 'a group goes before consumers are back at its broker',
    file: 'src/controllers/brokerset/scale-in.ts',
    find: ' && !drain.isFresh',
    replaceBy: '',
  },
  {
    name: 'a NameServer goes before clients know',
    file: 'src/controllers/nameserver/scale-in.ts',
    find: 'nowMs >= dueMs && trouble',
    replaceBy: 'nowMs >= dueMs - 60_000 && trouble',
  },
  {
    name: 'a group goes unread at its time-out, whatever is asked for then',
    file: 'src/controllers/brokerset/scale-in.ts',
    find: "(isTimedOut && scaleIn.onTimeout === 'Force')",
    replaceBy: 'isTimedOut',
  },
  {
    name: 'a consumer group is reset while its consumers are online',
    file: 'src/controllers/consumergroup/plan.ts',
    find: 'if (clients > 0 && !asked.force) {',
    replaceBy: 'if (clients > 1 && !asked.force) {',
  },
  {
    name: 'what brokers have of a Topic stays there, whatever its deletionPolicy',
    file: 'src/controllers/topic/reconcile.ts',
    find: 'brokerAddrs.map((address) => admin.deleteTopic(address, topic))',
    replaceBy: 'brokerAddrs.slice(1).map((address) => admin.deleteTopic(address, topic))',
  },
  {
    name: 'the finalizer goes before what brokers have does',
    file: 'src/controllers/on-brokers/reconcile.ts',
    find: 'const { deletionPolicy } = desired.spec\n',
    replaceBy: 'const { deletionPolicy } = desired.spec\n  await keepFinalizer(type, desired, false, shell)\n',
  },
  {
    name: 'a master is restarted before its slaves follow again',
    file: 'src/controllers/brokerset/judge.ts',
    find: 'member.registeredCount >= nameServers && isInSync(member)',
    replaceBy: 'member.registeredCount >= nameServers',
  },
  {
    name: 'a broker registers before it has its topics',
    file: 'src/controllers/brokerset/observe.ts',
    find: 'topics.filter(({ topicName }) => !has.has(topicName))',
    replaceBy: 'topics.filter(({ topicName }) => has.has(topicName))',
  },
  {
    name: 'an object that is there is never changed',
    file: 'src/controllers/perform.ts',
    find: 'if (live && covers(live, wanted)) return',
    replaceBy: 'if (live) return',
  },
  {
    name: 'a pass that failed is not tried again',
    file: 'src/kube/queue.ts',
    find: 'this.addAfter(key, backoff.next(',
    replaceBy: 'void (backoff.next(',
  },
  {
    name: 'a watch whose version is forgotten goes on from there',
    file: 'src/kube/informer.ts',
    find: 'if (isRefused(error, 410)) resourceVersion = undefined',
    replaceBy: 'if (isRefused(error, 418)) resourceVersion = undefined',
  },
]

/** Bugs that show when an operator dies between two certain writes only: one story finds each, and none without a crash. */
export const crashMutants: readonly (Mutant & { story: string })[] = [
  {
    name: 'a reset is begun before that is written down',
    story: 'a consumer group is reset',
    file: 'src/controllers/consumergroup/reset.ts',
    find: 'await begin({ requestId:',
    replaceBy: 'void ({ requestId:',
  },
  {
    name: 'what is left of a group is found by its StatefulSet alone, which goes first',
    story: 'a group is read to its end and goes',
    file: 'src/controllers/brokerset/observe.ts',
    find: "[...children, ...ownServices, ...world.configMaps.by('owner', uid)]",
    replaceBy: '[...children]',
  },
]
