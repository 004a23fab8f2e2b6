import { isOperatingError } from '../../../base/errors.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { getBrokerConfigResponse } from '../../../remoting/headers/broker-config.ts'
import { writeJson } from '../../../remoting/json.ts'
import { brokerSchema, meaningOf, parseSetting, readProperties, settingsText } from '../../../tunables/index.ts'
import { bodyProcessor, done, refuse } from './processor.ts'

export const getBrokerConfig = bodyProcessor(RequestCode.GET_BROKER_CONFIG, ({ settings, topics }) => ({
  ...done,
  extFields: getBrokerConfigResponse.encode({ version: writeJson(topics.dataVersion) }),
  body: Buffer.from(settingsText(brokerSchema, settings)),
}))

/**
 * Changes settings while the broker runs: all that the request names, or none. They last until the broker stops: what
 * is to stay belongs into its settings file.
 */
export const updateBrokerConfig = bodyProcessor(RequestCode.UPDATE_BROKER_CONFIG, async (broker, { body }) => {
  const settings = broker.settings as unknown as Record<string, unknown>
  const properties = readProperties(body.toString('utf8'), 'request')
  const changes: Record<string, unknown> = {}
  const blackList = broker.settings.configBlackList.split(';').map((key) => key.trim())
  for (const [key, { value, from }] of properties) {
    if (blackList.includes(key))
      return refuse(ResponseCode.NO_PERMISSION, `Can not update config in black list: ${key}`)
    if (!Object.hasOwn(brokerSchema.shape, key)) {
      return refuse(ResponseCode.INVALID_PARAMETER, `this broker has no setting ${key}`)
    }
    if (!meaningOf(brokerSchema.shape[key as 'brokerName']).live) {
      return refuse(ResponseCode.INVALID_PARAMETER, `the setting ${key} cannot change while the broker runs`)
    }
    try {
      changes[key] = parseSetting(brokerSchema, key, value, from)
    } catch (error) {
      if (!isOperatingError(error, 'SETTING_INVALID')) throw error
      return refuse(ResponseCode.INVALID_PARAMETER, error.message)
    }
  }
  const isPermissionChanged =
    'brokerPermission' in changes && changes.brokerPermission !== broker.settings.brokerPermission
  const isReleased = changes.registrationHeld === false && broker.settings.registrationHeld
  Object.assign(settings, changes)
  broker.log.info({ changes }, 'settings changed by request')
  if (isPermissionChanged) broker.topics.bumpDataVersion()
  if (isPermissionChanged || isReleased) await broker.announceAll()
  return done
})
