import type { Mutant } from '../sim/mutants/list.ts'

/** Bugs of controllers that seeds must find: one for each rule that is watched, and for what a bad network brings about. */
export const mutants: readonly Mutant[] = [
  {
    name: 'a group goes although not all is read',
    file: 'src/controllers/brokerset/scale-in.ts',
    find: 'isQuiet && isAnswering && drain.unread.length === 0',
    replaceBy: 'isQuiet && isAnswering',
  },
  {
    name: 'a group goes before producers know',
    file: 'src/controllers/brokerset/scale-in.ts',
    find: 'drainedMs >= drainQuietMs && (',
    replaceBy: 'drainedMs >= 5_000 && (',
  },
  {
    name: 'a broker is restarted while another one is down',
    file: 'src/controllers/roll.ts',
    find: 'isAllWhole && member.isReady && ',
    replaceBy: 'member.isReady && ',
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
  {
    name: 'what went while a watch was cut stays in the cache',
    file: 'src/kube/cache.ts',
    find: '.filter((object) => !kept.has(keyOf(object)))',
    replaceBy: '.filter((object) => kept.size < 0 && keyOf(object))',
  },
]
