import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { queryMessageRequest, queryMessageResponse } from '../../../remoting/headers/query-message.ts'
import { processor } from './processor.ts'

/** Messages by key, unique key or tag; whoever asks compares the keys, as two can have one hash. */
export const queryMessage = processor(
  RequestCode.QUERY_MESSAGE,
  queryMessageRequest,
  async ({ topic, key, maxNum, beginTimestamp, endTimestamp, indexType, isUniqueKey }, { settings, store }) => {
    const { bodies, lastUpdateTimestamp, lastUpdatePhyOffset } = await store.query({
      topic,
      key,
      indexType: isUniqueKey ? undefined : indexType,
      countMax: Math.min(isUniqueKey ? settings.defaultQueryMaxNum : maxNum, settings.maxMsgsNumBatch),
      beginTimestamp: Number(beginTimestamp),
      endTimestamp: Number(endTimestamp),
    })
    const isFound = bodies.length > 0
    const extFields = queryMessageResponse.encode({
      indexLastUpdateTimestamp: isFound ? lastUpdateTimestamp : 0, // as Apache: nothing found, nothing said
      indexLastUpdatePhyoffset: isFound ? lastUpdatePhyOffset : 0,
    })
    if (isFound) return { code: ResponseCode.SUCCESS, extFields, body: Buffer.concat(bodies) }
    const remark = 'can not find message, maybe time range not correct'
    return { code: ResponseCode.QUERY_NOT_FOUND, remark, extFields }
  },
)
