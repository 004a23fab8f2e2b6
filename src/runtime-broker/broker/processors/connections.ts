import { formatAddress } from '../../../remoting/address.ts'
import {
  type ClientConnection,
  writeConsumerConnection,
  writeProducerConnections,
  writeProducerTable,
} from '../../../remoting/body/connections.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { consumerGroupRequest, producerGroupRequest } from '../../../remoting/headers/consumer-group.ts'
import type { Client } from '../clients.ts'
import { bodyProcessor, processor, refuse, replyText } from './processor.ts'

/** The clients of a consumer group and what they subscribe to. */
export const getConsumerConnections = processor(
  RequestCode.GET_CONSUMER_CONNECTION_LIST,
  consumerGroupRequest,
  ({ consumerGroup }, { clients }) => {
    const group = clients.consumerGroup(consumerGroup)
    if (group === undefined) {
      return refuse(ResponseCode.CONSUMER_NOT_ONLINE, `the consumer group[${consumerGroup}] not online`)
    }
    const { consumeType, messageModel, consumeFromWhere } = group
    const subscriptionTable = new Map([...group.subscriptions].map(([topic, { data }]) => [topic, data]))
    const connectionSet = [...group.clients.values()].map(connectionOf)
    return replyText(
      writeConsumerConnection({ connectionSet, consumeFromWhere, consumeType, messageModel, subscriptionTable }),
    )
  },
)

export const getProducerConnections = processor(
  RequestCode.GET_PRODUCER_CONNECTION_LIST,
  producerGroupRequest,
  ({ producerGroup }, { clients }) => {
    const producers = clients.producers(producerGroup)
    if (producers === undefined) {
      return refuse(ResponseCode.SYSTEM_ERROR, `the producer group[${producerGroup}] not exist`)
    }
    return replyText(writeProducerConnections([...producers].map(connectionOf)))
  },
)

/** The producers of all groups. */
export const getAllProducers = bodyProcessor(RequestCode.GET_ALL_PRODUCER_INFO, ({ clients }) => {
  const groups = [...clients.producerGroups()].map(
    ([group, members]) =>
      [
        group,
        [...members.values()].map(({ clientId, connection, language, version, heartbeatAt }) => ({
          clientId,
          remoteIP: `/${formatAddress(connection.remote)}`,
          language,
          version,
          lastUpdateTimestamp: heartbeatAt,
        })),
      ] as const,
  )
  return replyText(writeProducerTable(new Map(groups)))
})

function connectionOf({ clientId, connection, language, version }: Client): ClientConnection {
  return { clientAddr: formatAddress(connection.remote), clientId, language, version }
}
