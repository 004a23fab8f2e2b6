import type { TopicDraining } from '../../crds/index.ts'
import type { BrokerTopic, TopicUnread } from '../admin.ts'
import { timeText, type Verdict, verdict } from '../conditions.ts'
import type { Asked } from '../on-brokers/plan.ts'
import type { Topic } from '../resources.ts'
import { freshText } from '../unread.ts'
import { isSame, wantedTopic } from './wanted.ts'

// A broker gives up queues, or the whole topic, in two phases: no more messages come, and when all are read the rest goes.

/** Producers learn with their next route poll, every 30 s, that a queue takes no messages; until then they may still send. */
export const quietMs = 35_000
/** How late a message that waited may be delivered after its time. */
const deliverySlackMs = 60_000
const blockersMax = 5 // groups, and what else may come

export interface ObservedBroker extends Asked<BrokerTopic> {
  /** Whether the topic is to be there. */
  isPlaced: boolean
  /** What is still to be read of what it gives up: asked for once no more messages can come. */
  unread?: TopicUnread | { trouble: string } | undefined
}

/** What one broker gives up. */
export interface Drain {
  brokerName: string
  gives: TopicDraining['gives']
  /** The queues from this one on go. */
  firstQueue: number
  /** How the topic is there meanwhile. */
  meanwhile: BrokerTopic
  /** Milliseconds since 1970 when it was known to be so; undefined: it is not so yet. */
  sinceMs: number | undefined
  /** No message can come any more but delayed ones. */
  isQuiet: boolean
  blockers: string[]
  /** All is read. */
  isOver: boolean
}

/**
 * What a broker is about to give up; undefined: nothing. One whose group leaves the BrokerSet is read as a whole, and
 * gives up nothing by itself.
 */
export function drainOf(desired: Topic, broker: ObservedBroker, nowMs: number): Drain | undefined {
  const { brokerName, has, isLeaving, isPlaced, trouble, unread } = broker
  if (has === undefined || isLeaving || trouble !== undefined) return undefined
  const wanted = wantedTopic(desired)
  if (isPlaced && has.readQueueNums <= wanted.readQueueNums) return undefined
  const gives = isPlaced ? 'Queues' : 'Topic'
  const meanwhile = isPlaced
    ? { ...wanted, readQueueNums: has.readQueueNums }
    : { ...has, perm: wanted.perm & ~writePerm }
  const firstQueue = isPlaced ? wanted.readQueueNums : 0
  // of one that goes further the time is another one, whether or not somebody got to write down that it does
  const known = desired.status?.draining?.find(
    (one) => one.broker === brokerName && one.gives === gives && (one.firstQueue ?? firstQueue) === firstQueue,
  )
  const sinceMs = isSame(has, meanwhile) ? Date.parse(known?.since ?? sinceText(nowMs)) : undefined
  const isQuiet = sinceMs !== undefined && nowMs - sinceMs >= quietMs
  const blockers = isQuiet ? blockersOf(unread, sinceMs, nowMs) : []
  const isOver = isQuiet && unread !== undefined && blockers.length === 0
  return { brokerName, gives, firstQueue, meanwhile, sinceMs, isQuiet, blockers, isOver }
}

const writePerm = 2

/** In whole seconds, none too early. */
function sinceText(nowMs: number): string {
  return timeText(Math.ceil(nowMs / 1000) * 1000)
}

/** Without counts, which change by the second. */
function blockersOf(unread: ObservedBroker['unread'], sinceMs: number, nowMs: number): string[] {
  if (unread === undefined) return []
  if ('trouble' in unread) return [`the broker does not answer: ${unread.trouble}`.slice(0, 512)]
  const readers = [...new Set(unread.groups)].sort().slice(0, blockersMax - 2)
  const untilMs = sinceMs + quietMs + unread.delayedMs + deliverySlackMs
  return [
    ...readers.map((group) => `${group} has not read all of it`),
    ...(unread.isFresh ? [freshText] : []),
    ...(unread.delayedMs > 0 && nowMs < untilMs
      ? [`delayed messages, or those of transactions, may come until ${timeText(untilMs)}`]
      : []),
  ]
}

/** What the status says of it. */
export function drainingOf({ brokerName, gives, firstQueue, sinceMs, blockers }: Drain, nowMs: number): TopicDraining {
  return {
    broker: brokerName,
    gives,
    firstQueue,
    since: sinceMs === undefined ? sinceText(nowMs) : timeText(sinceMs),
    ...(blockers.length > 0 && { blockers }),
  }
}

/** What is given up, as in "queues from 4 on of b-0". */
export function whatGoes({
  brokerName,
  gives,
  firstQueue,
}: Pick<Drain, 'brokerName' | 'gives' | 'firstQueue'>): string {
  return gives === 'Topic' ? `the topic on ${brokerName}` : `the queues from ${firstQueue} on of ${brokerName}`
}

/** The condition Draining. @param silent brokers that were giving something up and cannot be asked now */
export function drainVerdict(drains: readonly Drain[], silent: readonly TopicDraining[]): Verdict {
  const [first] = [...drains].sort((a, b) => b.blockers.length - a.blockers.length)
  const count = drains.length + silent.length
  const more = count > 1 ? ` (and ${count - 1} more)` : ''
  if (first?.blockers.length) {
    return verdict('Draining', true, 'Unread', `${whatGoes(first)}: ${first.blockers.join('; ')}${more}`)
  }
  if (first) {
    const why = first.isQuiet ? 'all is read' : 'producers may not know yet that it takes no messages'
    return verdict('Draining', true, 'Quieting', `${whatGoes(first)}: ${why}${more}`)
  }
  const [one] = silent
  if (one) return verdict('Draining', true, 'BrokerNotServing', `${one.broker} does not serve now${more}`)
  return verdict('Draining', false, 'NotDraining', '')
}
