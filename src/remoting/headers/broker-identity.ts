import { bool, type HeaderOf, headerCodec, int64, text } from '../header.ts'

const identity = { brokerName: text, brokerAddr: text, clusterName: text, brokerId: int64 }

/** UNREGISTER_BROKER. Source: Apache RocketMQ 5, UnRegisterBrokerRequestHeader. */
export const unregisterBrokerRequest = headerCodec('UnRegisterBrokerRequestHeader', identity)
export type UnregisterBrokerRequest = HeaderOf<typeof unregisterBrokerRequest>

/** QUERY_DATA_VERSION: does the NameServer have this version (the body) of the broker's topics? The same fields as above. */
export const queryDataVersionRequest = headerCodec('QueryDataVersionRequestHeader', identity)
export type QueryDataVersionRequest = HeaderOf<typeof queryDataVersionRequest>

export const queryDataVersionResponse = headerCodec('QueryDataVersionResponseHeader', { changed: bool })
