import { encodeHost, offsetMsgIdOf, PropertyName, type StoredMessage } from '../remoting/message/index.ts'
import { decompress } from './compression.ts'
import type { MessageQueue, ReceivedMessage } from './message.ts'

/**
 * A pulled record as the application gets it.
 * @param queue where it was read
 * @throws OperatingError BODY_INVALID when its body cannot be decompressed
 */
export function receivedMessage(stored: StoredMessage, queue: MessageQueue): ReceivedMessage {
  const { properties } = stored
  const offsetMsgId = offsetMsgIdOf(encodeHost(stored.storeHost), stored.phyOffset)
  return {
    topic: properties.get(PropertyName.RETRY_TOPIC) ?? stored.topic,
    body: decompress(stored.body, stored.sysFlag),
    tags: properties.get(PropertyName.TAGS),
    keys: properties.get(PropertyName.KEYS)?.split(' ').filter(Boolean) ?? [],
    properties,
    msgId: properties.get(PropertyName.UNIQ_KEY) ?? offsetMsgId,
    offsetMsgId,
    queue,
    queueOffset: stored.queueOffset,
    phyOffset: stored.phyOffset,
    bornTimestamp: stored.bornTimestamp,
    bornHost: stored.bornHost,
    storeTimestamp: stored.storeTimestamp,
    reconsumeTimes: stored.reconsumeTimes,
  }
}
