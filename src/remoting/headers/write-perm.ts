import { type HeaderOf, headerCodec, int32, text } from '../header.ts'

/** WIPE_WRITE_PERM_OF_BROKER and ADD_WRITE_PERM_OF_BROKER: one table. Source: Apache RocketMQ 5, WipeWritePermOfBrokerRequestHeader. */
export const writePermRequest = headerCodec('WritePermOfBrokerRequestHeader', { brokerName: text })
export type WritePermRequest = HeaderOf<typeof writePermRequest>

/** How many topics' queue entries changed. */
export const wipeWritePermResponse = headerCodec('WipeWritePermOfBrokerResponseHeader', { wipeTopicCount: int32 })
export const addWritePermResponse = headerCodec('AddWritePermOfBrokerResponseHeader', { addTopicCount: int32 })
