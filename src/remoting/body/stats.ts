import { writeJson } from '../json.ts'
import { Fields, integerItem } from './fields.ts'
import { type MessageQueue, type QueueTable, readQueueTable } from './message-queue.ts'

/** Body of GET_TOPIC_STATS_INFO. Source: Apache RocketMQ 5, TopicStatsTable. */
export interface TopicStatsTable {
  offsetTable: QueueTable<TopicOffset>
  topicPutTps: number // messages a second
}
export interface TopicOffset {
  minOffset: number // queue offsets
  maxOffset: number
  lastUpdateTimestamp: number // ms, of the last message; 0: none
}

export function readTopicStatsTable(body: Buffer): TopicStatsTable {
  const fields = Fields.of('TopicStatsTable', body)
  return {
    offsetTable: readQueueTable(fields, 'offsetTable', (value) => {
      const offset = new Fields('TopicOffset', value)
      return {
        minOffset: offset.integer('minOffset'),
        maxOffset: offset.integer('maxOffset'),
        lastUpdateTimestamp: offset.integer('lastUpdateTimestamp', 0),
      }
    }),
    topicPutTps: fields.number('topicPutTps', 0),
  }
}

export function writeTopicStatsTable(table: TopicStatsTable): string {
  return writeJson(table)
}

/** Body of GET_CONSUME_STATS. Source: Apache RocketMQ 5, ConsumeStats. */
export interface ConsumeStats {
  offsetTable: QueueTable<OffsetWrapper>
  consumeTps: number // messages a second
}
export interface OffsetWrapper {
  brokerOffset: number // the queue's maxOffset
  consumerOffset: number
  pullOffset: number
  lastTimestamp: number // ms, stored time of the last message consumed
}

export function readConsumeStats(body: Buffer): ConsumeStats {
  return consumeStatsOf(Fields.of('ConsumeStats', body))
}

export function writeConsumeStats(stats: ConsumeStats): string {
  return writeJson(stats)
}

/** Body of GET_BROKER_CONSUME_STATS. Source: Apache RocketMQ 5, ConsumeStatsList. */
export interface ConsumeStatsList {
  brokerAddr: string
  consumeStatsList: ReadonlyMap<string, ConsumeStats[]>[] // by group, one group in each
  totalDiff: number // messages not yet consumed, of all groups
  totalInflightDiff: number
}

export function readConsumeStatsList(body: Buffer): ConsumeStatsList {
  const fields = Fields.of('ConsumeStatsList', body)
  return {
    brokerAddr: fields.text('brokerAddr', ''),
    consumeStatsList: fields.list('consumeStatsList', (group) =>
      new Fields('ConsumeStatsList', { group }).table('group', (list) =>
        new Fields('ConsumeStatsList', { list }).list('list', (value) =>
          consumeStatsOf(new Fields('ConsumeStats', value)),
        ),
      ),
    ),
    totalDiff: fields.integer('totalDiff', 0),
    totalInflightDiff: fields.integer('totalInflightDiff', 0),
  }
}

export function writeConsumeStatsList(list: ConsumeStatsList): string {
  return writeJson(list)
}

function consumeStatsOf(fields: Fields): ConsumeStats {
  return {
    offsetTable: readQueueTable(fields, 'offsetTable', (value) => {
      const offset = new Fields('OffsetWrapper', value)
      return {
        brokerOffset: offset.integer('brokerOffset'),
        consumerOffset: offset.integer('consumerOffset'),
        pullOffset: offset.integer('pullOffset', 0),
        lastTimestamp: offset.integer('lastTimestamp', 0),
      }
    }),
    consumeTps: fields.number('consumeTps', 0),
  }
}

/** Body of the answer to INVOKE_BROKER_TO_RESET_OFFSET: where each queue goes on. */
export function readResetOffsets(body: Buffer): QueueTable<number> {
  return readQueueTable(Fields.of('ResetOffsetBody', body), 'offsetTable', integerItem('ResetOffsetBody.offsetTable'))
}

export function writeResetOffsets(offsetTable: QueueTable<number>): string {
  return writeJson({ offsetTable })
}

/** Answer of a client to GET_CONSUMER_STATUS_FROM_CLIENT: where it is in each queue. Source: GetConsumerStatusBody. */
export function readConsumerStatus(body: Buffer): QueueTable<number> {
  const fields = Fields.of('GetConsumerStatusBody', body)
  return readQueueTable(fields, 'messageQueueTable', integerItem('GetConsumerStatusBody.messageQueueTable'))
}

/** Body of INVOKE_BROKER_TO_GET_CONSUMER_STATUS: the same, by clientId. */
export function writeConsumerStatus(consumerTable: ReadonlyMap<string, QueueTable<number>>): string {
  return writeJson({ consumerTable, messageQueueTable: {} })
}

/** An item of QUERY_CONSUME_TIME_SPAN. Times in ms, -1 where there is no message. Source: Apache RocketMQ 5, QueueTimeSpan. */
export interface QueueTimeSpan {
  messageQueue: MessageQueue
  minTimeStamp: number // of the first message
  maxTimeStamp: number // of the last one
  consumeTimeStamp: number // of the last one that the group consumed
  delayTime: number // age of the next one that it has not; 0: it has all
}

export function writeConsumeTimeSpans(consumeTimeSpanSet: readonly QueueTimeSpan[]): string {
  return writeJson({ consumeTimeSpanSet })
}
