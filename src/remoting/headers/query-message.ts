import {
  bool,
  type HeaderOf,
  headerCodec,
  int32,
  int64,
  named,
  optional,
  text,
  wideInt64,
  withDefault,
} from '../header.ts'

/** QUERY_MESSAGE: asks for the messages that have a key. Source: Apache RocketMQ 5.5, QueryMessageRequestHeader. */
export const queryMessageRequest = headerCodec('QueryMessageRequestHeader', {
  topic: text,
  key: text,
  maxNum: int32,
  beginTimestamp: wideInt64, // of storing; up to the largest Java long, which means: whenever
  endTimestamp: wideInt64,
  indexType: optional(text), // K and U: a key; T: key is a tag
  lastKey: optional(text),
  isUniqueKey: named('_UNIQUE_KEY_QUERY', withDefault(bool, false)),
})
export type QueryMessageRequest = HeaderOf<typeof queryMessageRequest>

/** Where the index ends. */
export const queryMessageResponse = headerCodec('QueryMessageResponseHeader', {
  indexLastUpdateTimestamp: int64,
  indexLastUpdatePhyoffset: int64,
})
