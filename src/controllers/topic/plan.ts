import type { TopicSpec, TopicStatus } from '../../crds/index.ts'
import type { BrokerTopic } from '../admin.ts'
import { pausable, readiness } from '../conditions.ts'
import { type Asked, nameOnBrokers, type Observed as On, report, unlike, type Words } from '../on-brokers/plan.ts'
import type { Report } from '../perform.ts'
import type { Topic } from '../resources.ts'

export type ObservedBroker = Asked<BrokerTopic>
export type Observed = On<Topic, ObservedBroker>

export const words: Words = { kind: 'Topic', thing: 'topic', short: 'topic' }

export type Step = { do: 'createTopic' | 'correctTopic'; brokerName: string; brokerAddr: string; topic: BrokerTopic }

const permissions = { ReadWrite: 6, ReadOnly: 4, WriteOnly: 2, None: 0 } as const satisfies Record<
  TopicSpec['permission'],
  number
>
const messageTypes = {
  Normal: 'NORMAL',
  FIFO: 'FIFO',
  Delay: 'DELAY',
  Unspecified: 'UNSPECIFIED',
} as const satisfies Record<TopicSpec['messageType'], string>

/** The topic as each broker should have it. */
export function wantedTopic(desired: Topic): BrokerTopic {
  const { queues, permission, messageType } = desired.spec
  return {
    topicName: nameOnBrokers(desired),
    readQueueNums: queues.perBroker,
    writeQueueNums: queues.perBroker,
    perm: permissions[permission],
    order: messageType === 'FIFO',
    attributes: { 'message.type': messageTypes[messageType] },
  }
}

/** Plans one pass: makes the topic where it is missing and changes it back where it differs. */
export function plan(desired: Topic, observed: Observed): Step[] {
  const topic = wantedTopic(desired)
  return unlike(observed, (has) => isSame(has, topic)).map(({ brokerName, brokerAddr, has }) => ({
    do: has ? 'correctTopic' : 'createTopic',
    brokerName,
    brokerAddr,
    topic,
  }))
}

function isSame(has: BrokerTopic, wanted: BrokerTopic): boolean {
  return (
    has.readQueueNums === wanted.readQueueNums &&
    has.writeQueueNums === wanted.writeQueueNums &&
    has.perm === wanted.perm &&
    has.order === wanted.order &&
    // Apache takes a topic without the attribute for UNSPECIFIED, and so does a broker that keeps no attributes
    Object.entries(wanted.attributes).every(([name, value]) => (has.attributes[name] ?? value) === value)
  )
}

/** What a pass found and did. @param steps of a paused resource: those that were not done @param failures by brokerName */
export function reportOf(
  desired: Topic,
  observed: Observed,
  steps: readonly Step[],
  failures: ReadonlyMap<string, string>,
): Report<TopicStatus> {
  const done = steps.map((step) => ({ ...step, isCorrection: step.do === 'correctTopic' }))
  const { synced, status, readiness: ready, notes } = report(desired, observed, done, failures, words)
  return {
    status: { topicName: nameOnBrokers(desired), queues: synced * desired.spec.queues.perBroker, ...status },
    verdicts: pausable(desired.spec.paused, readiness(ready)),
    notes,
  }
}
