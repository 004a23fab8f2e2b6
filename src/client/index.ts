/** The TypeScript client: docs/client.md shows how it is used. */

export type { Doors } from '../base/doors.ts'
export type { ErrorCode } from '../base/errors.ts'
export { isOperatingError, OperatingError } from '../base/errors.ts'
export type { ClientConnection, ConsumerConnection } from '../remoting/body/connections.ts'
export type { HaClient, HaConnection, HaStatus } from '../remoting/body/ha-status.ts'
export type { BrokerData, ClusterInfo, QueueData, TopicRouteData } from '../remoting/body/route.ts'
export type { ConsumeStats, TopicStatsTable } from '../remoting/body/stats.ts'
export { type SubscriptionGroupConfig, subscriptionGroupConfig } from '../remoting/body/subscription-group.ts'
export type { TopicConfig, TopicConfigTable } from '../remoting/body/topic-config.ts'
export type { ClientTls } from '../remoting/client-tls.ts'
export { Perm, ResponseCode } from '../remoting/codes.ts'
export { Admin, type AdminOptions, type KeyRange, type OffsetReset, type QueueLag } from './admin.ts'
export { isRefusal } from './answers.ts'
export type { AutoBatchOptions } from './auto-batch.ts'
export { type ReceiveManyOptions, receiveMany, type SendManyOptions, sendMany } from './bulk.ts'
export { type ClusterOptions, openTls, type TlsOptions } from './cluster.ts'
export { ClusterAdmin, type Master } from './cluster-admin.ts'
export { LitePullConsumer, type LitePullConsumerOptions } from './lite-pull-consumer.ts'
export type { Message, MessageQueue, ReceivedMessage } from './message.ts'
export { type OffsetStore, offsetsInMemory } from './offset-store.ts'
export {
  type BatchResult,
  Producer,
  type ProducerOptions,
  type QueueSelector,
  queueByKey,
  type SendResult,
  type SendStatus,
} from './producer.ts'
export { productionDoors } from './production-doors.ts'
export type { PullLimits } from './puller.ts'
export { PushConsumer, type PushConsumerOptions } from './push-consumer.ts'
export type { ConsumeFrom } from './queue-offsets.ts'
export { QueueTally } from './tally.ts'
export {
  type TransactionOutcome,
  TransactionProducer,
  type TransactionProducerOptions,
  type TransactionSendResult,
} from './transaction-producer.ts'
