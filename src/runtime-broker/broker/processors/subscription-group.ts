import { readSubscriptionGroupConfig } from '../../../remoting/body/subscription-group.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import {
  deleteSubscriptionGroupRequest,
  getSubscriptionGroupRequest,
} from '../../../remoting/headers/consumer-group.ts'
import { readJson } from '../../../remoting/json.ts'
import { isGroupNameValid } from '../names.ts'
import { bodyProcessor, done, groupMissing, processor, refuse, replyJson } from './processor.ts'

/** Creates a group or changes it; answered when that is on disk. */
export const updateGroup = bodyProcessor(
  RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
  async ({ groups, log }, { body }) => {
    const config = readSubscriptionGroupConfig(readJson(body))
    if (!isGroupNameValid(config.groupName)) {
      return refuse(ResponseCode.INVALID_PARAMETER, `the group name ${config.groupName} is illegal`)
    }
    await groups.put(config)
    log.info({ consumerGroup: config.groupName }, 'consumer group set')
    return done
  },
)

export const deleteGroup = processor(
  RequestCode.DELETE_SUBSCRIPTIONGROUP,
  deleteSubscriptionGroupRequest,
  async ({ consumerGroup, isOffsetCleaned }, { groups, consumerOffsets, log }) => {
    await groups.delete(consumerGroup)
    if (isOffsetCleaned) consumerOffsets.forgetGroup(consumerGroup)
    log.info({ consumerGroup }, 'consumer group deleted')
    return done
  },
)

export const getAllGroups = bodyProcessor(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, ({ groups }) =>
  replyJson(groups.toTable()),
)

/** Makes the group where groups may be made by using them, as Apache does. */
export const getGroup = processor(
  RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG,
  getSubscriptionGroupRequest,
  ({ group }, { groups }) => {
    const config = groups.findOrCreate(group)
    return config === undefined ? groupMissing(group) : replyJson(config)
  },
)
