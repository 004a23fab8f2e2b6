import {
  type BrokerSetSpec,
  type BrokerSetStatus,
  brokerSetDefinition,
  type ConsumerGroupSpec,
  type ConsumerGroupStatus,
  consumerGroupDefinition,
  type NameServerSpec,
  type NameServerStatus,
  nameServerDefinition,
  resourceType,
  type TopicSpec,
  type TopicStatus,
  topicDefinition,
} from '../crds/index.ts'
import type { Resource } from '../kube/index.ts'

export type NameServer = Resource<NameServerSpec, NameServerStatus>
export type BrokerSet = Resource<BrokerSetSpec, BrokerSetStatus>
export type Topic = Resource<TopicSpec, TopicStatus>
export type ConsumerGroup = Resource<ConsumerGroupSpec, ConsumerGroupStatus>

export const nameServers = resourceType(nameServerDefinition)
export const brokerSets = resourceType(brokerSetDefinition)
export const topics = resourceType(topicDefinition)
export const consumerGroups = resourceType(consumerGroupDefinition)

/** Ports inside the pods. */
export const namesrvPort = 9876
export const brokerPort = 10911
export const brokerVipPort = brokerPort - 2 // clients with vipChannelEnabled send there
export const haPort = brokerPort + 1 // slaves copy the log from there
export const healthPort = 8081

export function hostPort(ip: string, port: number): string {
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
}
