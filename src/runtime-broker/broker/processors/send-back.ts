import { Perm, RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import {
  type ConsumerSendMsgBackRequest,
  consumerSendMsgBackRequest,
} from '../../../remoting/headers/consumer-send-msg-back.ts'
import {
  decodeMessage,
  encodeHost,
  formatProperties,
  offsetMsgIdOf,
  PropertyName,
  type StoredMessage,
  tagsCodeOf,
} from '../../../remoting/message/index.ts'
import { Version } from '../../../remoting/version.ts'
import type { NewMessage } from '../../store/index.ts'
import type { Broker } from '../context.ts'
import { withHostFlags } from '../host-flags.ts'
import { deadLetterTopicOf, retryTopicOf } from '../names.ts'
import { stored, toSchedule } from '../schedule.ts'
import type { Topic } from '../topics.ts'
import { done, groupMissing, processor, refuse } from './processor.ts'

/** The first retry of a message waits for delay level 3, each further one for the next level. */
const firstRetryLevel = 3
const unitRetryTopicFlag = 2

/**
 * A consumer failed: its message is stored once more, to be tried again later, or with the dead letters.
 * Source: Apache RocketMQ 5, AbstractSendMessageProcessor#consumerSendMsgBack.
 */
export const sendBack = processor(
  RequestCode.CONSUMER_SEND_MSG_BACK,
  consumerSendMsgBackRequest,
  async (header, broker, request) => {
    const group = broker.groups.findOrCreate(header.group)
    if (group === undefined) return groupMissing(header.group)
    const { settings } = broker
    if ((settings.brokerPermission & Perm.WRITE) === 0) {
      return refuse(ResponseCode.NO_PERMISSION, `the broker[${settings.brokerIP1}] sending message is forbidden`)
    }
    if (group.retryQueueNums <= 0) return done
    const retryTopic = broker.topics.ensure(
      retryTopicOf(header.group),
      group.retryQueueNums,
      header.unitMode ? unitRetryTopicFlag : 0,
    )
    if ((retryTopic.config.perm & Perm.WRITE) === 0) {
      const remark = `the topic[${retryTopic.config.topicName}] sending message is forbidden`
      return refuse(ResponseCode.NO_PERMISSION, remark)
    }
    const record = broker.store.recordAt(header.phyOffset)
    if (record === undefined) {
      return refuse(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${header.phyOffset}`)
    }
    const failed = decodeMessage(record, 0)
    const isHeard = request.version >= Version.V3_4_9 && header.maxReconsumeTimes !== undefined
    const triesMax = isHeard ? header.maxReconsumeTimes! : group.retryMaxTimes
    const isDead = failed.reconsumeTimes >= triesMax || header.delayLevel < 0
    await stored(broker.store, isDead ? deadLetter(failed, header, broker) : retry(failed, header, retryTopic, broker))
    return done
  },
)

function deadLetter(failed: StoredMessage, header: ConsumerSendMsgBackRequest, broker: Broker): NewMessage {
  const topic = broker.topics.ensure(deadLetterTopicOf(header.group), 1)
  const properties = backProperties(failed, broker)
  properties.delete(PropertyName.DELAY)
  return copyOf(failed, topic.config.topicName, 0, properties, broker)
}

function retry(
  failed: StoredMessage,
  header: ConsumerSendMsgBackRequest,
  { config }: Topic,
  broker: Broker,
): NewMessage {
  const wanted = header.delayLevel === 0 ? firstRetryLevel + failed.reconsumeTimes : header.delayLevel
  const level = broker.delayLevels.clamp(wanted)
  const properties = backProperties(failed, broker).set(PropertyName.DELAY, String(level))
  const queueId = broker.random.int(Math.max(1, config.writeQueueNums))
  const message = copyOf(failed, config.topicName, queueId, properties, broker)
  return toSchedule(message, level, broker.delayLevels, broker.clock.now())
}

/** Where the message was first, and under which id: kept through all tries. */
function backProperties(failed: StoredMessage, { storeHost }: Broker): Map<string, string> {
  const properties = new Map(failed.properties)
  if (!properties.has(PropertyName.RETRY_TOPIC)) properties.set(PropertyName.RETRY_TOPIC, failed.topic)
  if (!properties.has(PropertyName.ORIGIN_MESSAGE_ID)) {
    properties.set(PropertyName.ORIGIN_MESSAGE_ID, offsetMsgIdOf(storeHost, failed.phyOffset))
  }
  return properties.set(PropertyName.WAIT, 'false')
}

function copyOf(
  failed: StoredMessage,
  topic: string,
  queueId: number,
  properties: ReadonlyMap<string, string>,
  { storeHost }: Broker,
): NewMessage {
  const bornHost = encodeHost(failed.bornHost)
  return {
    topic,
    queueId,
    flag: failed.flag,
    sysFlag: withHostFlags(failed.sysFlag, bornHost, storeHost),
    bornTimestamp: failed.bornTimestamp,
    bornHost,
    storeHost,
    reconsumeTimes: failed.reconsumeTimes + 1,
    preparedTransactionOffset: 0,
    body: failed.body,
    properties: formatProperties(properties),
    tagsCode: tagsCodeOf(properties.get(PropertyName.TAGS)),
    waitsForFlush: true, // WAIT=false is what Apache stores; the answer still promises that the copy is safe
  }
}
