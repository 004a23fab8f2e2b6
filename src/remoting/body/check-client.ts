import { Fields } from './fields.ts'
import { readSubscriptionData, type SubscriptionData } from './heartbeat.ts'

/** Body of CHECK_CLIENT_CONFIG: would the broker take this subscription? Source: Apache RocketMQ 5, CheckClientRequestBody. */
export interface CheckClientRequest {
  clientId: string
  group: string
  subscriptionData: SubscriptionData | undefined
}

export function readCheckClientRequest(body: Buffer): CheckClientRequest {
  const fields = Fields.of('CheckClientRequestBody', body)
  return {
    clientId: fields.text('clientId', ''),
    group: fields.text('group', ''),
    subscriptionData: fields.has('subscriptionData')
      ? readSubscriptionData(fields.fields('subscriptionData').value)
      : undefined,
  }
}
