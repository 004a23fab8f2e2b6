import type { Doors } from '../base/doors.ts'
import { Admin, type ClientTls, isRefusal, ResponseCode, subscriptionGroupConfig } from '../client/index.ts'
import type { BrokerGroup, BrokerPlace, BrokerTopic, MqAdmin } from './admin.ts'
import { SharedRequests } from './shared-requests.ts'
import { SharedTables } from './shared-tables.ts'
import { topicUnreadAt, unclaimedAt, unreadAt, uptimeMsOf } from './unread.ts'

const requestTimeoutMs = 3000
const connectTimeoutMs = 2000
const peersMax = 1024

/**
 * MqAdmin over this project's own client: one for each NameServer and broker, those used last kept.
 * @param tls speak TLS with all of them
 */
export function clientAdmin(doors: Doors, tls?: ClientTls): MqAdmin {
  const admins = new Map<string, Admin>()

  /** The client that talks to this address alone: NameServers do not talk to each other, so each is asked. */
  function at(address: string): Admin {
    const admin =
      admins.get(address) ??
      new Admin({ namesrvAddr: address, requestTimeoutMs, connectTimeoutMs, ...(tls && { tls }) }, doors)
    admins.delete(address)
    admins.set(address, admin) // to the end: the first one is the one used longest ago
    const [oldest] = admins
    if (admins.size > peersMax && oldest) {
      admins.delete(oldest[0])
      void oldest[1].close()
    }
    return admin
  }

  /** As at, for one request each time, until the signal is aborted. */
  const until = (signal: AbortSignal) => (address: string) => {
    signal.throwIfAborted()
    return at(address)
  }

  const topics = new SharedTables<BrokerTopic>(
    doors.clock,
    async (brokerAddr) => (await at(brokerAddr).allTopicConfig(brokerAddr)).topicConfigTable,
  )
  const groups = new SharedTables<BrokerGroup>(doors.clock, (brokerAddr) =>
    at(brokerAddr).subscriptionGroups(brokerAddr),
  )

  const creations = new SharedRequests<BrokerTopic>(doors.clock, async (brokerAddr, wanted) => {
    const configs = wanted.map((topic) => ({ ...topic, attributes: additions(topic.attributes) }))
    const [first] = configs
    if (first && configs.length === 1) await at(brokerAddr).createTopic(brokerAddr, first)
    else await at(brokerAddr).createTopics(brokerAddr, configs)
  })

  return {
    async brokers(namesrvAddr) {
      const { brokerAddrTable } = await at(namesrvAddr).clusterInfo()
      return [...brokerAddrTable.values()].flatMap(({ cluster: clusterName, brokerName, brokerAddrs }) =>
        [...brokerAddrs].map(
          ([brokerId, brokerAddr]): BrokerPlace => ({ clusterName, brokerName, brokerId, brokerAddr }),
        ),
      )
    },
    topics: (brokerAddr) => topics.get(brokerAddr),
    topic: (brokerAddr, topic) =>
      topics.find(brokerAddr, topic, () =>
        unless<BrokerTopic | undefined>(ResponseCode.TOPIC_NOT_EXIST, undefined, () =>
          at(brokerAddr).topicConfig(brokerAddr, topic),
        ),
      ),
    async createTopic(brokerAddr, topic) {
      await creations.add(brokerAddr, topic)
      topics.changed(brokerAddr, topic.topicName, topic)
    },
    async deleteTopic(brokerAddr, topic) {
      await at(brokerAddr).deleteTopic(brokerAddr, topic)
      topics.changed(brokerAddr, topic, undefined)
    },
    async deleteRoute(namesrvAddr, topic, clusterName) {
      await at(namesrvAddr).deleteTopicInNamesrv(namesrvAddr, topic, clusterName)
    },
    groups: (brokerAddr) => groups.get(brokerAddr),
    async createGroup(brokerAddr, group) {
      await at(brokerAddr).createSubscriptionGroup(brokerAddr, group)
      groups.changed(brokerAddr, group.groupName, subscriptionGroupConfig(group.groupName, group))
    },
    async deleteGroup(brokerAddr, consumerGroup, isOffsetCleaned) {
      await at(brokerAddr).deleteSubscriptionGroup(brokerAddr, consumerGroup, isOffsetCleaned)
      groups.changed(brokerAddr, consumerGroup, undefined)
    },
    async groupUse(brokerAddr, consumerGroup) {
      const admin = at(brokerAddr)
      const [clients, { offsetTable }] = await Promise.all([
        unless(ResponseCode.CONSUMER_NOT_ONLINE, 0, async () => {
          const { connectionSet } = await admin.consumerConnection(brokerAddr, consumerGroup)
          return connectionSet.length
        }),
        admin.consumeStats(brokerAddr, consumerGroup),
      ])
      return { clients, topics: [...new Set([...offsetTable].map(([{ topic }]) => topic))] }
    },
    resetOffset: (brokerAddr, consumerGroup, topic, timestampMs) =>
      unless(ResponseCode.TOPIC_NOT_EXIST, 0, async () => {
        const offsets = await at(brokerAddr).resetOffset(brokerAddr, { consumerGroup, topic, timestampMs })
        return [...offsets].length
      }),
    async isHeld(brokerAddr) {
      return (await at(brokerAddr).brokerConfig(brokerAddr)).get('registrationHeld') === 'true'
    },
    release: (brokerAddr) => at(brokerAddr).updateBrokerConfig(brokerAddr, { registrationHeld: 'false' }),
    haStatus: (brokerAddr) => at(brokerAddr).haStatus(brokerAddr),
    settings: (brokerAddr) => at(brokerAddr).brokerConfig(brokerAddr),
    changeSettings: (brokerAddr, settings) => at(brokerAddr).updateBrokerConfig(brokerAddr, settings),
    async permission(brokerAddr) {
      return Number((await at(brokerAddr).brokerConfig(brokerAddr)).get('brokerPermission') ?? 6)
    },
    setPermission: (brokerAddr, permission) =>
      at(brokerAddr).updateBrokerConfig(brokerAddr, { brokerPermission: String(permission) }),
    unread: (brokerAddr, peerAddrs, isPartial, signal) => unreadAt(brokerAddr, peerAddrs, isPartial, until(signal)),
    uptimeMs: async (brokerAddr) => uptimeMsOf(await at(brokerAddr).brokerRuntimeInfo(brokerAddr)),
    async diskUsedRatio(brokerAddr) {
      const ratio = Number((await at(brokerAddr).brokerRuntimeInfo(brokerAddr)).get('commitLogDiskRatio') ?? Number.NaN)
      return ratio >= 0 && ratio <= 1 ? ratio : undefined // Apache's broker says -1 where it cannot tell
    },
    unclaimed: (brokerAddr, signal) => unclaimedAt(brokerAddr, until(signal)),
    topicUnread: (brokerAddr, topic, firstQueue, peerAddrs, signal) =>
      topicUnreadAt(brokerAddr, { topic, firstQueue }, peerAddrs, until(signal)),
    async close() {
      await Promise.all([...admins.values()].map((admin) => admin.close()))
      admins.clear()
    },
  }
}

/** Attributes as a change of what a topic has. */
function additions(attributes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`+${name}`, value]))
}

/** The call's answer, or `instead` where the broker refuses it with this code. */
async function unless<T>(responseCode: number, instead: T, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (isRefusal(error, responseCode)) return instead
    throw error
  }
}
