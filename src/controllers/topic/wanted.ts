import type { TopicSpec } from '../../crds/index.ts'
import type { BrokerTopic } from '../admin.ts'
import { nameOnBrokers } from '../on-brokers/plan.ts'
import type { Topic } from '../resources.ts'

const permissions = { ReadWrite: 6, ReadOnly: 4, WriteOnly: 2, None: 0 } as const satisfies Record<
  TopicSpec['permission'],
  number
>
const messageTypes = {
  Normal: 'NORMAL',
  FIFO: 'FIFO',
  Delay: 'DELAY',
  Transaction: 'TRANSACTION',
  Mixed: 'MIXED',
  Unspecified: 'UNSPECIFIED',
} as const satisfies Record<TopicSpec['messageType'], string>

const queuesDefault = 8

/** The topic as each broker should have it in the end. */
export function wantedTopic(desired: Topic): BrokerTopic {
  const { queues, permission, messageType, ordered } = desired.spec
  const { perBroker = queuesDefault, write = perBroker, read = perBroker } = queues
  return {
    topicName: nameOnBrokers(desired),
    readQueueNums: read,
    writeQueueNums: write,
    perm: permissions[permission],
    order: ordered ?? messageType === 'FIFO',
    attributes: { 'message.type': messageTypes[messageType] },
  }
}

/** Whether a broker group is to have the topic. @param brokerName ends in the number of its group */
export function isPlacedOn({ spec }: Pick<Topic, 'spec'>, brokerName: string): boolean {
  const index = Number(brokerName.slice(brokerName.lastIndexOf('-') + 1))
  return spec.placement?.groups.includes(index) ?? true
}

export function isSame(has: BrokerTopic, wanted: BrokerTopic): boolean {
  return differences(has, wanted).length === 0
}

/** What a broker has otherwise, as in "perm 4, not 6". */
export function differences(has: BrokerTopic, wanted: BrokerTopic): string[] {
  const fields = ['readQueueNums', 'writeQueueNums', 'perm', 'order'] as const
  const plain = fields.flatMap((field) =>
    has[field] === wanted[field] ? [] : [`${field} ${has[field]}, not ${wanted[field]}`],
  )
  const attributes = Object.entries(wanted.attributes).flatMap(([name, value]) => {
    // Apache takes a topic without the attribute for UNSPECIFIED, and so does a broker that keeps no attributes
    const own = has.attributes[name] ?? value
    return own === value ? [] : [`${name} ${own}, not ${value}`]
  })
  return [...plain, ...attributes]
}
