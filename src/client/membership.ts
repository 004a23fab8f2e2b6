import { readConsumerIdList } from '../remoting/body/lists.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import { consumerGroupRequest } from '../remoting/headers/consumer-group.ts'
import { refused } from './answers.ts'
import type { Cluster } from './cluster.ts'
import { compareText } from './message.ts'
import type { Route } from './routes.ts'

/**
 * The clientIds of a consumer group, sorted, as the first broker of the topic that answers knows them.
 * @returns [] when that broker knows no member of the group
 * @throws OperatingError what the last broker asked came to
 */
export async function groupMembers(cluster: Cluster, route: Route, consumerGroup: string): Promise<string[]> {
  const command = {
    code: RequestCode.GET_CONSUMER_LIST_BY_GROUP,
    extFields: consumerGroupRequest.encode({ consumerGroup }),
  }
  let failure: unknown
  for (const address of route.addresses('all')) {
    try {
      const answer = await cluster.remoting.call(address, command, cluster.requestTimeoutMs)
      if (answer.code === ResponseCode.SUCCESS) return readConsumerIdList(answer.body).sort(compareText)
      if (answer.code === ResponseCode.SYSTEM_ERROR) return [] // how brokers say that nobody is there
      failure = refused(answer, command.code, address)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}
