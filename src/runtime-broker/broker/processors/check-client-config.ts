import { readCheckClientRequest } from '../../../remoting/body/check-client.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { bodyProcessor, done, refuse } from './processor.ts'
import { filterUnsupported, isTagType } from './pull-message.ts'

/** Consumers ask before they start whether a subscription would work. */
export const checkClientConfig = bodyProcessor(RequestCode.CHECK_CLIENT_CONFIG, (_, { body }) => {
  const { subscriptionData } = readCheckClientRequest(body)
  if (subscriptionData === undefined || isTagType(subscriptionData.expressionType)) return done
  return refuse(ResponseCode.SYSTEM_ERROR, filterUnsupported(subscriptionData.expressionType))
})
