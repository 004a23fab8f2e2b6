import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { viewMessageRequest } from '../../../remoting/headers/view-message.ts'
import { done, processor, refuse } from './processor.ts'

/** One message by its place in the commit log. */
export const viewMessage = processor(RequestCode.VIEW_MESSAGE_BY_ID, viewMessageRequest, ({ phyOffset }, { store }) => {
  const record = store.recordAt(phyOffset)
  if (record !== undefined) return { ...done, body: record }
  return refuse(ResponseCode.SYSTEM_ERROR, `can not find message by the offset, ${phyOffset}`)
})
