import { RequestCode } from '../../../remoting/codes.ts'
import {
  getMaxOffsetRequest,
  offsetResponse,
  queueRequest,
  searchOffsetRequest,
  storeTimeResponse,
} from '../../../remoting/headers/queue-offset.ts'
import { processor, reply } from './processor.ts'

/** The offset at a time: of the first message at or after it, or (upper) the last at or before it. */
export const searchOffset = processor(
  RequestCode.SEARCH_OFFSET_BY_TIMESTAMP,
  searchOffsetRequest,
  ({ topic, queueId, timestamp, boundaryType }, { store }) => {
    const boundary = boundaryType.toLowerCase() === 'upper' ? 'upper' : 'lower'
    return reply(offsetResponse.encode({ offset: store.offsetByTime(topic, queueId, timestamp, boundary) }))
  },
)

export const getMaxOffset = processor(
  RequestCode.GET_MAX_OFFSET,
  getMaxOffsetRequest,
  ({ topic, queueId }, { store }) => reply(offsetResponse.encode({ offset: store.maxOffset(topic, queueId) })),
)

export const getMinOffset = processor(RequestCode.GET_MIN_OFFSET, queueRequest, ({ topic, queueId }, { store }) =>
  reply(offsetResponse.encode({ offset: store.minOffset(topic, queueId) })),
)

export const getEarliestStoreTime = processor(
  RequestCode.GET_EARLIEST_MSG_STORETIME,
  queueRequest,
  ({ topic, queueId }, { store }) => {
    const timestamp = store.storeTimestampAt(topic, queueId, store.minOffset(topic, queueId))
    return reply(storeTimeResponse.encode({ timestamp }))
  },
)
