import { Fields, integerItem, integerKey } from './fields.ts'

/** Where the queues of a static topic lie that one broker group has. Source: Apache RocketMQ 5, TopicQueueMappingInfo. */
export interface TopicQueueMappingInfo {
  bname: string // brokerName
  currIdMap: ReadonlyMap<number, number> // queueId at the broker by the topic's own
  dirty: boolean
  epoch: number
  scope: string
  topic: string
  totalQueues: number
}

export function readTopicQueueMappingInfo(value: unknown): TopicQueueMappingInfo {
  const fields = new Fields('TopicQueueMappingInfo', value)
  const ids = fields.table('currIdMap', integerItem('currIdMap'))
  return {
    bname: fields.text('bname'),
    currIdMap: new Map([...ids].map(([id, physicalId]) => [integerKey('currIdMap', id), physicalId])),
    dirty: fields.bool('dirty', false),
    epoch: fields.integer('epoch', 0),
    scope: fields.text('scope', '__global__'),
    topic: fields.text('topic'),
    totalQueues: fields.integer('totalQueues', 0),
  }
}
