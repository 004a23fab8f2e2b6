import { headerCodec, text } from '../header.ts'

/** Answer to GET_BROKER_CONFIG: the DataVersion, as JSON. Source: Apache RocketMQ 5, GetBrokerConfigResponseHeader. */
export const getBrokerConfigResponse = headerCodec('GetBrokerConfigResponseHeader', { version: text })
