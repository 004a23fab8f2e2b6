import { readConsumerIdList } from '../remoting/body/lists.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import { consumerGroupRequest } from '../remoting/headers/consumer-group.ts'
import type { Handler } from '../remoting/request.ts'
import { refused } from './answers.ts'
import type { Cluster } from './cluster.ts'
import type { Groups } from './heartbeats.ts'
import { compareText } from './message.ts'
import type { ConsumeFrom } from './queue-offsets.ts'
import type { Route } from './routes.ts'
import type { Subscription } from './subscription.ts'

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

/** What a consumer says of itself in its heartbeats. */
export function groupOfConsumer(
  options: { consumerGroup: string; consumeFrom?: ConsumeFrom; messageModel?: 'CLUSTERING' | 'BROADCASTING' },
  consumeType: Groups['consumerDataSet'][number]['consumeType'],
  subscriptions: Iterable<Subscription>,
): Groups {
  const { consumerGroup, consumeFrom = 'last', messageModel = 'CLUSTERING' } = options
  const from = consumeFrom === 'first' ? 'FIRST_OFFSET' : consumeFrom === 'last' ? 'LAST_OFFSET' : 'TIMESTAMP'
  return {
    producerDataSet: [],
    consumerDataSet: [
      {
        groupName: consumerGroup,
        consumeType,
        messageModel,
        consumeFromWhere: `CONSUME_FROM_${from}`,
        subscriptionDataSet: [...subscriptions].map(({ data }) => data),
        unitMode: false,
      },
    ],
  }
}

/** Answers what brokers ask of a consumer: members of its group came or went. */
export function answerBroker({ code }: Parameters<Handler>[0], rebalance: () => void): ReturnType<Handler> {
  if (code === RequestCode.NOTIFY_CONSUMER_IDS_CHANGED) {
    rebalance()
    return { code: ResponseCode.SUCCESS }
  }
  return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark: ` request type ${code} not supported` }
}
