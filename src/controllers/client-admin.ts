import type { Doors } from '../base/doors.ts'
import { Admin, isRefusal, ResponseCode } from '../client/index.ts'
import type { BrokerPlace, MqAdmin } from './admin.ts'
import { unreadAt } from './unread.ts'

const requestTimeoutMs = 3000
const connectTimeoutMs = 2000
const peersMax = 1024

/** MqAdmin over this project's own client: one for each NameServer and broker, those used last kept. */
export function clientAdmin(doors: Doors): MqAdmin {
  const admins = new Map<string, Admin>()

  /** The client that talks to this address alone: NameServers do not talk to each other, so each is asked. */
  function at(address: string): Admin {
    const admin = admins.get(address) ?? new Admin({ namesrvAddr: address, requestTimeoutMs, connectTimeoutMs }, doors)
    admins.delete(address)
    admins.set(address, admin) // to the end: the first one is the one used longest ago
    const [oldest] = admins
    if (admins.size > peersMax && oldest) {
      admins.delete(oldest[0])
      void oldest[1].close()
    }
    return admin
  }

  return {
    async masters(namesrvAddr) {
      const { brokerAddrTable } = await at(namesrvAddr).clusterInfo()
      return [...brokerAddrTable.values()].flatMap(({ cluster, brokerName, brokerAddrs }): BrokerPlace[] => {
        const brokerAddr = brokerAddrs.get(0)
        return brokerAddr === undefined ? [] : [{ clusterName: cluster, brokerName, brokerAddr }]
      })
    },
    async topic(brokerAddr, topic) {
      try {
        return await at(brokerAddr).topicConfig(brokerAddr, topic)
      } catch (error) {
        if (isRefusal(error, ResponseCode.TOPIC_NOT_EXIST)) return undefined
        throw error
      }
    },
    createTopic(brokerAddr, { attributes, ...topic }) {
      const changes = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`+${name}`, value]))
      return at(brokerAddr).createTopic(brokerAddr, { ...topic, attributes: changes })
    },
    deleteTopic: (brokerAddr, topic) => at(brokerAddr).deleteTopic(brokerAddr, topic),
    deleteRoute: (namesrvAddr, topic, clusterName) =>
      at(namesrvAddr).deleteTopicInNamesrv(namesrvAddr, topic, clusterName),
    async permission(brokerAddr) {
      return Number((await at(brokerAddr).brokerConfig(brokerAddr)).get('brokerPermission') ?? 6)
    },
    setPermission: (brokerAddr, permission) =>
      at(brokerAddr).updateBrokerConfig(brokerAddr, { brokerPermission: String(permission) }),
    unread: (brokerAddr, peerAddrs) => unreadAt(brokerAddr, peerAddrs, at),
    async close() {
      await Promise.all([...admins.values()].map((admin) => admin.close()))
      admins.clear()
    },
  }
}
