import { apiVersion } from '../../../src/crds/group.ts'

interface Sizes {
  nameServers?: number
  groups?: number
  slavesPerGroup?: number
  /** Messages go with the pods: for clusters whose messages nobody looks for. */
  ephemeral?: boolean
  /** A ConsumerGroup NAME-READER; by default none. */
  reader?: string
}

/** A NameServer NAME, a BrokerSet NAME-brokers and a Topic with the resource's name NAME-TOPIC; Topic and ConsumerGroup go from brokers with their resources. */
export function clusterOf(name: string, topic: string, sizes: Sizes = {}): object[] {
  const { nameServers = 1, groups = 1, slavesPerGroup = 0, ephemeral = false, reader } = sizes
  const resource = (kind: string, resourceName: string, spec: object) => ({
    apiVersion,
    kind,
    metadata: { name: resourceName },
    spec,
  })
  return [
    resource('NameServer', name, { replicas: nameServers }),
    resource('BrokerSet', `${name}-brokers`, {
      nameServerRef: { name },
      groups,
      slavesPerGroup,
      ...(slavesPerGroup > 0 && { replication: { mode: 'Sync' }, config: { slaveReadEnable: 'true' } }),
      storage: ephemeral ? { ephemeral } : { size: '1Gi' },
    }),
    resource('Topic', `${name}-${topic}`, {
      brokerSetRef: { name: `${name}-brokers` },
      topicName: topic,
      queues: { perBroker: 4 },
      deletionPolicy: 'Delete',
    }),
    ...(reader === undefined
      ? []
      : [
          resource('ConsumerGroup', `${name}-${reader}`, {
            brokerSetRef: { name: `${name}-brokers` },
            groupName: reader,
            deletionPolicy: 'Delete',
          }),
        ]),
  ]
}
