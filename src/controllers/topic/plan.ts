import type { TopicSpec, TopicStatus } from '../../crds/index.ts'
import type { Note } from '../../kube/index.ts'
import type { BrokerTopic } from '../admin.ts'
import { type Readiness, readiness } from '../conditions.ts'
import type { Report } from '../perform.ts'
import type { BrokerSet, Topic } from '../resources.ts'

/** A broker that should have the topic, and what it has. */
export interface ObservedBroker {
  brokerName: string
  brokerAddr: string
  /** undefined: it does not have the topic. */
  has: BrokerTopic | undefined
  /** Why the broker could not be asked. */
  trouble?: string
}

export interface Observed {
  brokerSet: BrokerSet | undefined
  /** Another Topic that speaks for the same topic of the same brokers, and is older. */
  rival: Topic | undefined
  brokers: ObservedBroker[]
}

export type Step = { do: 'createTopic' | 'correctTopic'; brokerName: string; brokerAddr: string; topic: BrokerTopic }

export function topicNameOf({ metadata, spec }: Topic): string {
  return spec.topicName ?? metadata.name
}

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
    topicName: topicNameOf(desired),
    readQueueNums: queues.perBroker,
    writeQueueNums: queues.perBroker,
    perm: permissions[permission],
    order: messageType === 'FIFO',
    attributes: { 'message.type': messageTypes[messageType] },
  }
}

/** Plans one pass: makes the topic where it is missing and changes it back where it differs. */
export function plan(desired: Topic, observed: Observed): Step[] {
  if (observed.rival) return []
  const topic = wantedTopic(desired)
  return observed.brokers.flatMap(({ brokerName, brokerAddr, has, trouble }): Step[] => {
    if (trouble !== undefined || (has && isSame(has, topic))) return []
    return [{ do: has ? 'correctTopic' : 'createTopic', brokerName, brokerAddr, topic }]
  })
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

const failingMax = 8

/**
 * What a pass found and did.
 * @param failures of steps, by brokerName
 */
export function reportOf(
  desired: Topic,
  observed: Observed,
  steps: readonly Step[],
  failures: ReadonlyMap<string, string>,
): Report<TopicStatus> {
  const { brokers, brokerSet } = observed
  const failing = brokers.flatMap(({ brokerName, trouble }) => {
    const reason = trouble ?? failures.get(brokerName)
    return reason === undefined ? [] : [{ broker: brokerName, reason: reason.slice(0, 1024) }]
  })
  const synced = observed.rival ? 0 : brokers.length - failing.length
  const count = brokerSet?.spec.groups ?? 0
  const done = steps.filter(({ brokerName }) => !failures.has(brokerName))
  return {
    status: {
      topicName: topicNameOf(desired),
      brokers: { desired: count, synced },
      queues: synced * desired.spec.queues.perBroker,
      ...(failing.length > 0 && { failing: failing.slice(0, failingMax) }),
    },
    verdicts: readiness(judge(desired, observed, synced, count, failing)),
    notes: [
      ...noteOf(done, 'createTopic', 'TopicCreated', 'made on'),
      ...noteOf(done, 'correctTopic', isDrift(desired) ? 'DriftCorrected' : 'TopicUpdated', 'changed on'),
    ],
  }
}

/** Whether the resource has not changed since it was last true: then somebody changed the topic on the broker. */
function isDrift(desired: Topic): boolean {
  return desired.status?.observedGeneration === desired.metadata.generation
}

function noteOf(done: readonly Step[], kind: Step['do'], reason: string, verb: string): Note[] {
  const names = done.filter((step) => step.do === kind).map(({ brokerName }) => brokerName)
  return names.length === 0 ? [] : [{ type: 'Normal', reason, message: `the topic was ${verb} ${names.join(', ')}` }]
}

function judge(
  desired: Topic,
  { brokerSet, rival }: Observed,
  synced: number,
  count: number,
  failing: readonly { broker: string; reason: string }[],
): Readiness {
  const name = desired.spec.brokerSetRef.name
  if (rival) {
    const message = `Topic ${rival.metadata.name} speaks for ${topicNameOf(desired)} already: delete one of the two`
    return { status: 'False', reason: 'ResourceConflict', message, isStalled: true }
  }
  if (!brokerSet) return { status: 'Unknown', reason: 'ClusterNotReady', message: `BrokerSet ${name} does not exist` }
  const [first] = failing
  if (first) {
    return {
      status: 'False',
      reason: 'BrokerError',
      message: `${failing.length} brokers failed; ${first.broker}: ${first.reason}`,
    }
  }
  if (synced < count) {
    const message = `${synced} of ${count} broker groups have the topic; the others do not serve yet`
    return { status: synced > 0 ? 'False' : 'Unknown', reason: 'ClusterNotReady', message }
  }
  return { status: 'True', reason: 'Synced', message: `${synced} of ${count} broker groups have the topic` }
}
