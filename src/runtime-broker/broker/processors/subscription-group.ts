import {
  readSubscriptionGroupConfig,
  readSubscriptionGroupList,
  type SubscriptionGroupConfig,
} from '../../../remoting/body/subscription-group.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import {
  deleteSubscriptionGroupRequest,
  getSubscriptionGroupRequest,
} from '../../../remoting/headers/consumer-group.ts'
import { readJson } from '../../../remoting/json.ts'
import type { Broker } from '../context.ts'
import { groupNameFault } from '../names.ts'
import { bodyProcessor, done, groupMissing, processor, type Response, refuse, replyJson } from './processor.ts'

/** Creates a group or changes it; answered when that is on disk. */
export const updateGroup = bodyProcessor(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, (broker, { body }) =>
  putGroups([readSubscriptionGroupConfig(readJson(body))], broker),
)

/** The same for several; none of them where one has an illegal name. */
export const updateGroupList = bodyProcessor(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, (broker, { body }) =>
  putGroups(readSubscriptionGroupList(body), broker),
)

async function putGroups(configs: readonly SubscriptionGroupConfig[], { groups, log }: Broker): Promise<Response> {
  for (const { groupName } of configs) {
    const fault = groupNameFault(groupName)
    if (fault !== undefined) return refuse(ResponseCode.INVALID_PARAMETER, fault)
  }
  for (const config of configs) {
    await groups.put(config)
    log.info({ consumerGroup: config.groupName }, 'consumer group set')
  }
  return done
}

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
