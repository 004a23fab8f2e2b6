import { isOperatingError, messageOf } from '../../../base/errors.ts'
import { nearest } from '../../../base/nearest.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { getBrokerConfigResponse } from '../../../remoting/headers/broker-config.ts'
import { writeJson } from '../../../remoting/json.ts'
import {
  brokerSchema,
  meaningOf,
  otherBrokerKeys,
  type Properties,
  parseSetting,
  readProperties,
  settingsText,
  whyIgnored,
} from '../../../tunables/index.ts'
import { bodyProcessor, done, type Response, refuse } from './processor.ts'

export const getBrokerConfig = bodyProcessor(RequestCode.GET_BROKER_CONFIG, ({ settings, topics }) => ({
  ...done,
  extFields: getBrokerConfigResponse.encode({ version: writeJson(topics.dataVersion) }),
  body: Buffer.from(settingsText(brokerSchema, settings)),
}))

/**
 * Changes settings while the broker runs: all that the request names, or none; and keeps them in brokerConfigPath. Where
 * that cannot be written, as in a mounted ConfigMap, they hold until the process ends; the log says so.
 */
export const updateBrokerConfig = bodyProcessor(RequestCode.UPDATE_BROKER_CONFIG, async (broker, { body }) => {
  const properties = readProperties(body.toString('utf8'), 'request')
  const changes = checkedChanges(properties, broker.settings.configBlackList)
  if (!(changes instanceof Map)) return changes
  const { brokerPermission, namesrvAddr, registrationHeld } = broker.settings
  Object.assign(broker.settings, Object.fromEntries(changes))
  broker.log.info({ changes: Object.fromEntries(changes) }, 'settings changed by request')
  try {
    broker.saveSettings(properties)
  } catch (error) {
    const fields = { path: broker.settings.brokerConfigPath, err: messageOf(error) }
    broker.log.warn(fields, 'changed settings could not be saved and end with this process')
  }
  const isPermissionChanged = broker.settings.brokerPermission !== brokerPermission
  const isReleased = registrationHeld && !broker.settings.registrationHeld
  if (isPermissionChanged) broker.topics.bumpDataVersion()
  if (isPermissionChanged || isReleased) await broker.announceAll()
  if (broker.settings.namesrvAddr !== namesrvAddr) await broker.refreshNameServers()
  return done
})

/** The values by key, or why the first one that does not fit is refused. */
function checkedChanges(properties: Properties, configBlackList: string): Map<string, unknown> | Response {
  const blackList = configBlackList.split(';').map((key) => key.trim())
  const changes = new Map<string, unknown>()
  for (const [key, { value, from }] of properties) {
    if (blackList.includes(key))
      return refuse(ResponseCode.NO_PERMISSION, `Can not update config in black list: ${key}`)
    const ignored = whyIgnored(brokerSchema, otherBrokerKeys, key)
    if (ignored?.is === 'inert') {
      return refuse(ResponseCode.INVALID_PARAMETER, `the setting ${key} has no effect in this broker`)
    }
    if (ignored !== undefined) {
      return refuse(ResponseCode.INVALID_PARAMETER, `this broker has no setting ${key}${hint(key)}`)
    }
    if (!meaningOf(brokerSchema.shape[key as 'brokerName']).live) {
      return refuse(ResponseCode.INVALID_PARAMETER, `the setting ${key} cannot change while the broker runs`)
    }
    try {
      changes.set(key, parseSetting(brokerSchema, key, value, from))
    } catch (error) {
      if (!isOperatingError(error, 'SETTING_INVALID')) throw error
      return refuse(ResponseCode.INVALID_PARAMETER, error.message)
    }
  }
  return changes
}

function hint(key: string): string {
  const meant = nearest(key, Object.keys(brokerSchema.shape))
  return meant === undefined ? '' : `; did you mean ${meant}?`
}
