import { bool, type HeaderOf, headerCodec, text, withDefault } from '../header.ts'

/** GET_ROUTEINFO_BY_TOPIC. Source: Apache RocketMQ 5, GetRouteInfoRequestHeader. */
export const getRouteInfoRequest = headerCodec('GetRouteInfoRequestHeader', {
  topic: text,
  acceptStandardJsonOnly: withDefault(bool, false), // whatever the version: integer keys in quotes
})
export type GetRouteInfoRequest = HeaderOf<typeof getRouteInfoRequest>
