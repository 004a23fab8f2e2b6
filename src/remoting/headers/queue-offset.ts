import { bool, type HeaderOf, headerCodec, int32, int64, text, withDefault } from '../header.ts'

/** GET_MIN_OFFSET and GET_EARLIEST_MSG_STORETIME: each names a queue. */
export const queueRequest = headerCodec('QueueRequestHeader', { topic: text, queueId: int32 })
export type QueueRequest = HeaderOf<typeof queueRequest>

/** GET_MAX_OFFSET. Source: Apache RocketMQ 5, GetMaxOffsetRequestHeader. */
export const getMaxOffsetRequest = headerCodec('GetMaxOffsetRequestHeader', {
  topic: text,
  queueId: int32,
  committed: withDefault(bool, true), // only what consumers may read
})
export type GetMaxOffsetRequest = HeaderOf<typeof getMaxOffsetRequest>

/** SEARCH_OFFSET_BY_TIMESTAMP. Source: Apache RocketMQ 5, SearchOffsetRequestHeader. */
export const searchOffsetRequest = headerCodec('SearchOffsetRequestHeader', {
  topic: text,
  queueId: int32,
  timestamp: int64, // ms
  boundaryType: withDefault(text, 'lower'), // lower or upper, in any case
})
export type SearchOffsetRequest = HeaderOf<typeof searchOffsetRequest>

/** Answer to the three offset requests and to QUERY_CONSUMER_OFFSET. */
export const offsetResponse = headerCodec('OffsetResponseHeader', { offset: int64 })

/** Answer to GET_EARLIEST_MSG_STORETIME: ms, -1 when the queue is empty. */
export const storeTimeResponse = headerCodec('GetEarliestMsgStoretimeResponseHeader', { timestamp: int64 })
