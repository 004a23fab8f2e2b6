import { readCheckClientRequest } from '../../../remoting/body/check-client.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { ExpressionError } from '../filter/lexer.ts'
import { bodyProcessor, done, refuse } from './processor.ts'
import { filterUnsupported, isTagType } from './pull-message.ts'

/** Consumers ask before they start whether a subscription would work. */
export const checkClientConfig = bodyProcessor(RequestCode.CHECK_CLIENT_CONFIG, ({ settings, filters }, { body }) => {
  const { subscriptionData } = readCheckClientRequest(body)
  if (subscriptionData === undefined || isTagType(subscriptionData.expressionType)) return done
  const { expressionType, subString } = subscriptionData
  if (!settings.enablePropertyFilter) return refuse(ResponseCode.SYSTEM_ERROR, filterUnsupported(expressionType))
  if (expressionType !== 'SQL92') {
    return refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, `no expression is of type ${expressionType}: TAG or SQL92`)
  }
  const filter = filters.compile(subString)
  if (!(filter instanceof ExpressionError)) return done
  return refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, `no SQL92 expression: ${filter.message}`)
})
