import { type HeaderOf, headerCodec, optional, text } from '../header.ts'

/** PUT_KV_CONFIG. Source for all of this file: Apache RocketMQ 5, header.namesrv.*KVConfig*. */
export const putKvConfigRequest = headerCodec('PutKVConfigRequestHeader', { namespace: text, key: text, value: text })
export type PutKvConfigRequest = HeaderOf<typeof putKvConfigRequest>

/** GET_KV_CONFIG and DELETE_KV_CONFIG: one table. */
export const kvConfigRequest = headerCodec('KVConfigRequestHeader', { namespace: text, key: text })
export type KvConfigRequest = HeaderOf<typeof kvConfigRequest>

export const getKvConfigResponse = headerCodec('GetKVConfigResponseHeader', { value: optional(text) })

/** GET_KVLIST_BY_NAMESPACE. */
export const getKvListRequest = headerCodec('GetKVListByNamespaceRequestHeader', { namespace: text })
export type GetKvListRequest = HeaderOf<typeof getKvListRequest>
