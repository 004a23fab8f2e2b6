import { subscriptionGroupConfig } from '../../client/index.ts'
import { label, liveBrokerSettings } from '../../crds/index.ts'
import type { ConfigMap, KubeObject, Pod, Service } from '../../kube/index.ts'
import type { ObjectStore } from '../../local-cluster/api-server/store.ts'
import type { BrokerGroup, BrokerTopic, GroupUse, MqAdmin, Unclaimed, Unread } from '../admin.ts'
import { brokerPort } from '../resources.ts'
import { consumersBackMs } from '../unread.ts'

/** What a broker of the pretended cluster has; the last of it slaves alone. */
export interface PretendedBroker {
  topics: Map<string, BrokerTopic>
  groups: Map<string, BrokerGroup>
  /** How groups are used there, by name. */
  uses: Map<string, GroupUse>
  resets: { consumerGroup: string; topic: string; timestampMs: number }[]
  isHeld: boolean
  /** Topics that it had when it was let go. */
  registeredWith: string[] | undefined
  /** And consumer groups. */
  registeredGroups: string[]
  /** Live settings, as its last process read them from its configuration, and as they were changed since. */
  settings: Map<string, string>
  /** brokerPermission of these. */
  permission: number
  unread: (Unread & { queueId?: number })[]
  unclaimed: Unclaimed[]
  /** The longest delay of messages that wait for their time. */
  delayedMs: number
  isFollowing: boolean
  lagBytes: number
  uptimeMs: number
  diskUsedRatio: number
}

const logBytes = 2 ** 40

/** Where `brokers` has the broker of a pod or Service: `0` is the master of group 0, `0-1` its first slave. */
export function brokerKey({ metadata }: KubeObject): string {
  const group = metadata.labels?.[label.group] ?? ''
  const ordinal = metadata.name.split('-').at(-1)
  return ordinal === '0' ? group : `${group}-${ordinal}`
}

/** Brokers of which nothing runs: what they have, what they say to an operator, and what they do when their pod starts. */
export function pretendBrokers(store: ObjectStore) {
  const brokers = new Map<string, PretendedBroker>()
  const ofAddress = (brokerAddr: string) => {
    const service = servicesNow().find(({ spec }) => `${spec?.clusterIP}:${brokerPort}` === brokerAddr)
    const broker = service && brokers.get(brokerKey(service))
    if (!broker) throw new Error(`no broker at ${brokerAddr}`)
    return broker
  }
  const servicesNow = () => store.list('/services') as unknown as Service[]
  const podsNow = () => store.list('/pods') as unknown as Pod[]

  const configurationOf = ({ metadata }: Pod) => {
    const configs = store.list('/configmaps') as unknown as ConfigMap[]
    const text = configs.map(({ data }) => data?.[`${metadata.name}.conf`]).find((conf) => conf !== undefined) ?? ''
    return Object.fromEntries(text.split('\n').map((line) => line.split('=') as [string, string]))
  }

  const admin: MqAdmin = {
    brokers: async () =>
      podsNow()
        .filter(({ metadata, status }) => metadata.labels?.[label.brokerSet] && status?.podIP)
        .filter((pod) => brokers.get(brokerKey(pod))?.isHeld === false)
        .map(({ metadata }) => {
          const brokerSet = metadata.labels?.[label.brokerSet] as string
          const service = servicesNow().find((one) => one.metadata.name === metadata.name)
          return {
            clusterName: brokerSet,
            brokerName: `${brokerSet}-${metadata.labels?.[label.group]}`,
            brokerId: Number(metadata.name.split('-').at(-1)),
            brokerAddr: `${service?.spec?.clusterIP}:${brokerPort}`,
          }
        }),
    haStatus: async (brokerAddr) => {
      const { isFollowing, lagBytes } = ofAddress(brokerAddr)
      const client = {
        masterAddr: 'master:10912',
        lastReadTimestamp: 0,
        lastWriteTimestamp: 0,
        transferredByteInSecond: 0,
      }
      return {
        master: false,
        masterCommitLogMaxOffset: logBytes,
        inSyncSlaveNums: 0,
        haConnectionInfo: [],
        haClientRuntimeInfo: {
          ...client,
          masterFlushOffset: 0,
          maxOffset: logBytes - lagBytes,
          activated: isFollowing,
        },
      }
    },
    topics: async (brokerAddr) => ofAddress(brokerAddr).topics,
    topic: async (brokerAddr, topic) => ofAddress(brokerAddr).topics.get(topic),
    groups: async (brokerAddr) => ofAddress(brokerAddr).groups,
    createGroup: async (brokerAddr, group) => {
      ofAddress(brokerAddr).groups.set(group.groupName, subscriptionGroupConfig(group.groupName, group))
    },
    deleteGroup: async (brokerAddr, consumerGroup, isOffsetCleaned) => {
      ofAddress(brokerAddr).groups.delete(consumerGroup)
      if (isOffsetCleaned) ofAddress(brokerAddr).uses.delete(consumerGroup)
    },
    groupUse: async (brokerAddr, consumerGroup) =>
      ofAddress(brokerAddr).uses.get(consumerGroup) ?? { clients: 0, topics: [] },
    resetOffset: async (brokerAddr, consumerGroup, topic, timestampMs) => {
      const { resets, topics } = ofAddress(brokerAddr)
      const queues = topics.get(topic)?.readQueueNums ?? 0
      if (queues > 0) resets.push({ consumerGroup, topic, timestampMs })
      return queues
    },
    isHeld: async (brokerAddr) => ofAddress(brokerAddr).isHeld,
    release: async (brokerAddr) => {
      const broker = ofAddress(brokerAddr)
      broker.registeredWith = [...broker.topics.keys()]
      broker.registeredGroups = [...broker.groups.keys()]
      broker.isHeld = false
    },
    createTopic: async (brokerAddr, topic) => void ofAddress(brokerAddr).topics.set(topic.topicName, topic),
    deleteTopic: async (brokerAddr, topic) => void ofAddress(brokerAddr).topics.delete(topic),
    deleteRoute: async () => {},
    settings: async (brokerAddr) => ofAddress(brokerAddr).settings,
    changeSettings: async (brokerAddr, settings) => {
      for (const [key, value] of Object.entries(settings)) ofAddress(brokerAddr).settings.set(key, value)
    },
    permission: async (brokerAddr) => ofAddress(brokerAddr).permission,
    setPermission: async (brokerAddr, permission) => {
      ofAddress(brokerAddr).permission = permission
    },
    unread: async (brokerAddr) => ofAddress(brokerAddr).unread,
    uptimeMs: async (brokerAddr) => ofAddress(brokerAddr).uptimeMs,
    diskUsedRatio: async (brokerAddr) => ofAddress(brokerAddr).diskUsedRatio,
    unclaimed: async (brokerAddr) => ofAddress(brokerAddr).unclaimed,
    topicUnread: async (brokerAddr, topic, firstQueue) => {
      const { unread, delayedMs, uptimeMs } = ofAddress(brokerAddr)
      const inQueues = unread.filter((one) => one.topic === topic && (one.queueId ?? firstQueue) >= firstQueue)
      const isFresh = uptimeMs < consumersBackMs
      return { groups: inQueues.map(({ consumerGroup }) => consumerGroup), delayedMs, isFresh }
    },
    close: async () => {},
  }

  /** What a broker does when its pod starts: it reads its configuration. */
  function begin(pod: Pod): void {
    if (pod.metadata.labels?.[label.group] === undefined) return
    if (pod.metadata.labels?.[label.group] !== undefined && !brokers.has(brokerKey(pod))) {
      brokers.set(brokerKey(pod), {
        topics: new Map(),
        groups: new Map(),
        uses: new Map(),
        resets: [],
        isHeld: false,
        registeredWith: undefined,
        registeredGroups: [],
        settings: new Map(),
        get permission() {
          return Number(this.settings.get('brokerPermission'))
        },
        set permission(permission: number) {
          this.settings.set('brokerPermission', String(permission))
        },
        unread: [],
        unclaimed: [],
        delayedMs: 0,
        isFollowing: true,
        lagBytes: 0,
        uptimeMs: Number.POSITIVE_INFINITY,
        diskUsedRatio: 0.5,
      })
    }
    const broker = brokers.get(brokerKey(pod))
    if (!broker) return
    const configuration = configurationOf(pod)
    broker.settings = new Map(Object.entries(liveBrokerSettings(configuration)))
    broker.isHeld = configuration.registrationHeld === 'true'
  }

  return { brokers, admin, begin }
}
