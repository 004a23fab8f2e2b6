import { writeTopicList } from '../../../remoting/body/lists.ts'
import {
  readTopicConfigList,
  type TopicConfig,
  topicConfig,
  writeTopicConfigTable,
} from '../../../remoting/body/topic-config.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { createTopicRequest } from '../../../remoting/headers/create-topic.ts'
import { topicRequest } from '../../../remoting/headers/topic.ts'
import type { Broker } from '../context.ts'
import { topicNameFault } from '../names.ts'
import { bodyProcessor, done, processor, type Response, refuse, replyJson, replyText } from './processor.ts'

const queueCountMax = 65_536

/** Creates a topic or changes it; answered when that is on disk. */
export const updateTopic = processor(RequestCode.UPDATE_AND_CREATE_TOPIC, createTopicRequest, (header, broker) => {
  const { topic, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order, attributes = '' } = header
  const asked = { readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order }
  return putTopics([{ config: topicConfig(topic, asked), attributeChanges: attributes }], broker)
})

/** The same for several; none of them where one is refused. */
export const updateTopicList = bodyProcessor(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, (broker, { body }) => {
  const configs = readTopicConfigList(body)
  if (configs.length === 0) return refuse(ResponseCode.INVALID_PARAMETER, 'the list names no topic')
  return putTopics(
    configs.map((config) => {
      const changes = Object.entries(config.attributes).map(([key, value]) =>
        key.startsWith('-') ? key : `${key}=${value}`,
      )
      return { config, attributeChanges: changes.join(',') }
    }),
    broker,
  )
})

const mixedRefusal =
  'MIXED message type is not supported: enableMixedMessageType is false. Set it to true, or give the topic another message.type'

interface TopicChange {
  config: TopicConfig // its attributes count for nothing
  attributeChanges: string
}

async function putTopics(changes: readonly TopicChange[], broker: Broker): Promise<Response> {
  const { topics, log, settings, announceTopic } = broker
  const changed: TopicConfig[] = []
  for (const { config, attributeChanges } of changes) {
    const { topicName } = config
    const known = topics.find(topicName)?.config
    const fault = topicNameFault(topicName) ?? countFault(config)
    if (fault !== undefined) return refuse(ResponseCode.INVALID_PARAMETER, fault)
    if (topics.isSystem(topicName)) return isSystem(topicName)
    const attributes = changedAttributes(known?.attributes ?? {}, attributeChanges, known === undefined)
    if (typeof attributes === 'string') return refuse(ResponseCode.SYSTEM_ERROR, attributes)
    const isMixedAnew = attributes['message.type'] === 'MIXED' && known?.attributes['message.type'] !== 'MIXED'
    if (isMixedAnew && !settings.enableMixedMessageType) return refuse(ResponseCode.SYSTEM_ERROR, mixedRefusal)
    const wanted = { ...config, attributes }
    if (known === undefined || !isSame(known, wanted)) changed.push(wanted)
  }
  const [first] = changed
  if (first === undefined) return done
  const { topicName: topic, readQueueNums, writeQueueNums, perm } = first
  const deed = topics.find(topic) === undefined ? 'created' : 'changed'
  // one write of the table and one word to each NameServer for all of them, since they are put within a turn; awaited
  // too: whoever asked may ask a NameServer next
  await Promise.all(changed.flatMap((config) => [announceTopic(config.topicName), topics.put(config)]))
  if (changed.length === 1) log.info({ topic, readQueueNums, writeQueueNums, perm }, `topic ${deed}`)
  else log.info({ topics: changed.length }, 'topics created or changed')
  return done
}

/** Forgets a topic, its queues and what groups consumed of it. */
export const deleteTopic = processor(RequestCode.DELETE_TOPIC_IN_BROKER, topicRequest, async ({ topic }, broker) => {
  if (topic.trim() === '') return refuse(ResponseCode.INVALID_PARAMETER, 'The specified topic is blank.')
  if (broker.topics.isSystem(topic)) return isSystem(topic)
  broker.store.deleteTopic(topic)
  broker.consumerOffsets.forgetTopic(topic)
  broker.stats.forgetTopic(topic)
  if (await broker.topics.delete(topic)) broker.log.info({ topic }, 'topic deleted')
  return done
})

export const getTopicConfig = processor(RequestCode.GET_TOPIC_CONFIG, topicRequest, ({ topic }, { topics }) => {
  const config = topics.find(topic)?.config
  if (config !== undefined) return replyJson(config)
  return refuse(ResponseCode.TOPIC_NOT_EXIST, `No topic in this broker. topic: ${topic}`)
})

export const getAllTopicConfig = bodyProcessor(RequestCode.GET_ALL_TOPIC_CONFIG, ({ topics }) =>
  replyText(writeTopicConfigTable(topics.toTable())),
)

export const getSystemTopicList = bodyProcessor(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER, ({ topics }) =>
  replyText(writeTopicList({ topicList: topics.systemTopics() })),
)

function isSystem(topic: string): Response {
  return refuse(ResponseCode.INVALID_PARAMETER, `The topic[${topic}] is conflict with system topic.`)
}

function countFault({ readQueueNums, writeQueueNums, perm }: TopicConfig): string | undefined {
  for (const count of [readQueueNums, writeQueueNums]) {
    if (count < 0 || count > queueCountMax) return `a topic has from 0 to ${queueCountMax} queues, not ${count}`
  }
  return perm < 0 || perm > 15 ? `the perm ${perm} has bits that mean nothing` : undefined
}

/** Values that an attribute may have, and whether it may change later. Source: Apache RocketMQ 5, TopicAttributes. */
const attributeTable: Record<string, { values: readonly string[] | RegExp; isMutable: boolean }> = {
  'message.type': { values: ['UNSPECIFIED', 'NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED'], isMutable: true },
  'queue.type': { values: ['SimpleCQ'], isMutable: false },
  'cleanup.policy': { values: ['DELETE'], isMutable: false },
  'reserve.time': { values: /^-?\d{1,15}$/, isMutable: true },
}

/** @param changes `+key=value` adds, `-key` removes, joined by commas @returns what is wrong with them, as a text */
function changedAttributes(
  known: Readonly<Record<string, string>>,
  changes: string,
  isNew: boolean,
): Record<string, string> | string {
  const attributes = { ...known }
  for (const change of changes.split(',').map((text) => text.trim())) {
    if (change === '') continue
    const match = /^(?:\+([^=]+)=(.*)|-([^=]+))$/.exec(change)
    if (match === null) return `kv string format wrong: ${change}`
    const key = (match[1] ?? match[3])!
    const attribute = Object.hasOwn(attributeTable, key) ? attributeTable[key] : undefined
    if (attribute === undefined) return `unsupported key: ${key}`
    if (match[3] !== undefined) {
      if (!attribute.isMutable) return `attempt to delete an unchangeable attribute: ${key}`
      delete attributes[key]
      continue
    }
    const value = match[2]!
    const { values } = attribute
    if (!(values instanceof RegExp ? values.test(value) : values.includes(value))) {
      return `the value ${value} of ${key} is not supported by this release`
    }
    if (!attribute.isMutable && !isNew && known[key] !== value)
      return `attempt to update an unchangeable attribute: ${key}`
    attributes[key] = value
  }
  return attributes
}

function isSame(a: TopicConfig, b: TopicConfig): boolean {
  const sorted = ({ attributes, ...others }: TopicConfig) =>
    JSON.stringify([Object.entries(others).sort(), Object.entries(attributes).sort()])
  return sorted(a) === sorted(b)
}
