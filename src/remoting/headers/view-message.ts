import { type HeaderOf, headerCodec, int64, named, optional, text } from '../header.ts'

/** VIEW_MESSAGE_BY_ID. Source: Apache RocketMQ 5, ViewMessageRequestHeader. */
export const viewMessageRequest = headerCodec('ViewMessageRequestHeader', {
  topic: optional(text),
  phyOffset: named('offset', int64),
})
export type ViewMessageRequest = HeaderOf<typeof viewMessageRequest>
