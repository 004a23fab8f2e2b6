import type { Doors } from '../../base/doors.ts'
import { silentLog } from '../../base/log.ts'
import { nodeDoors } from '../../base/node/index.ts'
import { formatAddress } from '../../remoting/address.ts'
import { readHeartbeatData } from '../../remoting/body/heartbeat.ts'
import { writeConsumerIdList } from '../../remoting/body/lists.ts'
import { readLockBatch, writeLockedQueues } from '../../remoting/body/lock-batch.ts'
import type { MessageQueue } from '../../remoting/body/message-queue.ts'
import { type QueueData, writeTopicRouteData } from '../../remoting/body/route.ts'
import { RequestCode, ResponseCode } from '../../remoting/codes.ts'
import { unregisterClientRequest } from '../../remoting/headers/client-registration.ts'
import { consumerGroupRequest } from '../../remoting/headers/consumer-group.ts'
import { queryConsumerOffsetRequest, updateConsumerOffsetRequest } from '../../remoting/headers/consumer-offset.ts'
import { consumerSendMsgBackRequest } from '../../remoting/headers/consumer-send-msg-back.ts'
import { getRouteInfoRequest } from '../../remoting/headers/get-route-info.ts'
import { pullMessageRequest, pullMessageResponse } from '../../remoting/headers/pull-message.ts'
import { offsetResponse, queueRequest, searchOffsetRequest } from '../../remoting/headers/queue-offset.ts'
import { sendMessageRequestV2, sendMessageResponse } from '../../remoting/headers/send-message.ts'
import { encodeHost, encodeRecord, offsetMsgIdOf } from '../../remoting/message/index.ts'
import { type Connection, type Request, type Response, type Server, startServer } from '../../remoting/server.ts'

const nobody = encodeHost({ host: '127.0.0.1', port: 1 })
const localhost = { host: '127.0.0.1', port: 0 }

/** Real time and sockets, no log. */
export const testDoors: Doors = nodeDoors(silentLog)

/** A NameServer and brokers as a client sees them, on loopback: what they hold is in plain fields, for tests to look at. */
export class FakeCluster {
  readonly brokers: FakeBroker[] = []
  /** Routes by topic; absent: TOPIC_NOT_EXIST. */
  readonly topics = new Map<string, Omit<QueueData, 'brokerName'> & { brokerNames: string[] }>()
  routeRequests = 0
  #server: Server | undefined
  #port = 0

  static async start(brokerCount: number): Promise<FakeCluster> {
    const cluster = new FakeCluster()
    await cluster.startNameServer()
    for (let index = 0; index < brokerCount; index++) {
      const broker = new FakeBroker(`broker-${index}`)
      await broker.start()
      cluster.brokers.push(broker)
    }
    return cluster
  }

  get namesrvAddr(): string {
    return `127.0.0.1:${this.#port}`
  }

  async startNameServer(): Promise<void> {
    const listen = { ...localhost, port: this.#port }
    this.#server = await startServer({ listen, handle: (request) => this.#answer(request) }, testDoors)
    this.#port = this.#server.address.port
  }

  async stopNameServer(): Promise<void> {
    await this.#server?.close(0)
  }

  addTopic(topic: string, queues: number, { brokerNames = this.brokers.map(({ name }) => name), perm = 6 } = {}): void {
    this.topics.set(topic, { brokerNames, readQueueNums: queues, writeQueueNums: queues, perm, topicSysFlag: 0 })
  }

  async stop(): Promise<void> {
    await Promise.all([this.stopNameServer(), ...this.brokers.map((broker) => broker.stop())])
  }

  #answer(request: Request): Response {
    this.routeRequests++
    const { topic } = getRouteInfoRequest.decode(request.extFields)
    const found = this.topics.get(topic)
    if (found === undefined) return { code: ResponseCode.TOPIC_NOT_EXIST, remark: `no route of ${topic}` }
    const { brokerNames, ...queues } = found
    const route = {
      queueDatas: brokerNames.map((brokerName) => ({ brokerName, ...queues })),
      brokerDatas: this.brokers
        .filter(({ name }) => brokerNames.includes(name))
        .map(({ name, address, registeredAs }) => ({
          cluster: 'C',
          brokerName: name,
          brokerAddrs: new Map([[registeredAs, address]]),
          enableActingMaster: false,
        })),
      filterServerTable: new Map(),
    }
    return { code: ResponseCode.SUCCESS, body: Buffer.from(writeTopicRouteData(route, true)) }
  }
}

interface HeldPull {
  request: Request
  key: string
}

export class FakeBroker {
  readonly name: string
  /** The brokerId in routes: above 0 its group has lost its master. */
  registeredAs = 0
  /** Records by `topic@queueId`, in queue order. */
  readonly queues = new Map<string, Buffer[]>()
  /** Consumer offsets by `group@topic@queueId`. */
  readonly offsets = new Map<string, number>()
  /** Connections of the members of each group, by clientId. */
  readonly members = new Map<string, Map<string, Connection>>()
  /** clientIds that hold queues in order, by `group@topic@queueId`. */
  readonly locks = new Map<string, string>()
  readonly sentBack: { phyOffset: number; group: string; delayLevel: number }[] = []
  readonly batches: Buffer[] = []
  /** Answers instead of the fake, where it returns a response. */
  intercept: (request: Request) => Response | undefined = () => undefined
  requestCodes: number[] = []
  /** Sends and pulls get no answer. */
  hangs = false
  #server: Server | undefined
  #port = 0
  #phyOffset = 0
  #held: HeldPull[] = []

  constructor(name: string) {
    this.name = name
  }

  get address(): string {
    return formatAddress({ host: '127.0.0.1', port: this.#port })
  }

  /** Listens, at the same port after a stop. Members are forgotten, messages and offsets are not. */
  async start(): Promise<void> {
    this.members.clear()
    const listen = { ...localhost, port: this.#port }
    this.#server = await startServer({ listen, handle: (request) => this.#answer(request) }, testDoors)
    this.#port = this.#server.address.port
  }

  async stop(): Promise<void> {
    this.#held = []
    await this.#server?.close(0)
  }

  /** All messages of a topic, whatever the queue. */
  count(topic: string): number {
    let count = 0
    for (const [key, records] of this.queues) if (key.startsWith(`${topic}@`)) count += records.length
    return count
  }

  put(topic: string, queueId: number, body: Buffer, properties = '', sysFlag = 0, reconsumeTimes = 0): number {
    const key = `${topic}@${queueId}`
    const records = this.queues.get(key) ?? []
    this.queues.set(key, records)
    const into = Buffer.alloc(body.length + properties.length * 3 + topic.length + 200)
    const fields = {
      queueId,
      flag: 0,
      sysFlag,
      bornTimestamp: 1,
      bornHost: nobody,
      storeHost: nobody,
      body,
      properties,
    }
    const rest = { reconsumeTimes, preparedTransactionOffset: 0 }
    const size = encodeRecord(into, 0, { ...fields, ...rest }, Buffer.from(topic), records.length, this.#phyOffset, 2)
    records.push(into.subarray(0, size))
    this.#phyOffset += size
    for (const held of this.#held.filter((pull) => pull.key === key)) {
      this.#held.splice(this.#held.indexOf(held), 1)
      held.request.answer(this.#pull(held.request) ?? { code: ResponseCode.SYSTEM_ERROR })
    }
    return records.length - 1
  }

  /** Tells the members of a group that one came or went. */
  notify(group: string): void {
    for (const connection of this.members.get(group)?.values() ?? []) {
      const extFields = consumerGroupRequest.encode({ consumerGroup: group })
      connection.oneway({ code: RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, extFields })
    }
  }

  #answer(request: Request): Response | undefined {
    this.requestCodes.push(request.code)
    const { extFields } = request
    const intercepted = this.intercept(request)
    if (intercepted !== undefined) return intercepted
    if (this.hangs && hanging.has(request.code)) return undefined
    switch (request.code) {
      case RequestCode.SEND_MESSAGE_V2: {
        const { topic, queueId, properties = '', sysFlag } = sendMessageRequestV2.decode(extFields)
        return this.#sent(queueId, this.put(topic, queueId, Buffer.from(request.body), properties, sysFlag))
      }
      case RequestCode.SEND_BATCH_MESSAGE:
        this.batches.push(Buffer.from(request.body))
        return this.#sent(sendMessageRequestV2.decode(extFields).queueId, 0)
      case RequestCode.PULL_MESSAGE:
      case RequestCode.LITE_PULL_MESSAGE:
        return this.#pull(request)
      case RequestCode.HEART_BEAT:
        return this.#heartbeat(request)
      case RequestCode.UNREGISTER_CLIENT: {
        const { consumerGroup = '', clientID } = unregisterClientRequest.decode(extFields)
        if (this.members.get(consumerGroup)?.delete(clientID)) this.notify(consumerGroup)
        return success({})
      }
      case RequestCode.GET_CONSUMER_LIST_BY_GROUP: {
        const members = this.members.get(consumerGroupRequest.decode(extFields).consumerGroup)
        if (members === undefined) return { code: ResponseCode.SYSTEM_ERROR, remark: 'no consumer for this group' }
        return { code: ResponseCode.SUCCESS, body: Buffer.from(writeConsumerIdList([...members.keys()])) }
      }
      case RequestCode.QUERY_CONSUMER_OFFSET: {
        const { consumerGroup, topic, queueId } = queryConsumerOffsetRequest.decode(extFields)
        const offset = this.offsets.get(`${consumerGroup}@${topic}@${queueId}`)
        return offset === undefined
          ? { code: ResponseCode.QUERY_NOT_FOUND }
          : success(offsetResponse.encode({ offset }))
      }
      case RequestCode.UPDATE_CONSUMER_OFFSET: {
        const { consumerGroup, topic, queueId, commitOffset } = updateConsumerOffsetRequest.decode(extFields)
        this.offsets.set(`${consumerGroup}@${topic}@${queueId}`, commitOffset)
        return success({})
      }
      case RequestCode.GET_MIN_OFFSET:
        return success(offsetResponse.encode({ offset: 0 }))
      case RequestCode.SEARCH_OFFSET_BY_TIMESTAMP: // as if message n was stored n ms after 1970
        return success(offsetResponse.encode({ offset: searchOffsetRequest.decode(extFields).timestamp }))
      case RequestCode.GET_MAX_OFFSET: {
        const { topic, queueId } = queueRequest.decode(extFields)
        return success(offsetResponse.encode({ offset: this.queues.get(`${topic}@${queueId}`)?.length ?? 0 }))
      }
      case RequestCode.CONSUMER_SEND_MSG_BACK: {
        const { phyOffset, group, delayLevel } = consumerSendMsgBackRequest.decode(extFields)
        this.sentBack.push({ phyOffset, group, delayLevel })
        return success({})
      }
      case RequestCode.LOCK_BATCH_MQ:
      case RequestCode.UNLOCK_BATCH_MQ:
        return this.#lock(request)
      default:
        return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED }
    }
  }

  #lock({ code, body }: Request): Response {
    const { clientId, consumerGroup, mqSet } = readLockBatch(body)
    const keyOf = ({ topic, queueId }: MessageQueue) => `${consumerGroup}@${topic}@${queueId}`
    const ours = mqSet.filter((queue) => (this.locks.get(keyOf(queue)) ?? clientId) === clientId)
    for (const queue of ours) {
      if (code === RequestCode.LOCK_BATCH_MQ) this.locks.set(keyOf(queue), clientId)
      else this.locks.delete(keyOf(queue))
    }
    return { code: ResponseCode.SUCCESS, body: Buffer.from(writeLockedQueues(ours)) }
  }

  #sent(queueId: number, queueOffset: number): Response {
    return success(sendMessageResponse.encode({ msgId: offsetMsgIdOf(nobody, 0), queueId, queueOffset }))
  }

  #heartbeat(request: Request): Response {
    const { clientID, consumerDataSet } = readHeartbeatData(request.body)
    for (const { groupName } of consumerDataSet) {
      const members = this.members.get(groupName) ?? new Map<string, Connection>()
      this.members.set(groupName, members)
      if (members.has(clientID)) continue
      members.set(clientID, request.connection)
      this.notify(groupName)
    }
    return success({})
  }

  #pull(request: Request): Response | undefined {
    const { topic, queueId, queueOffset, consumerGroup, maxMsgNums } = pullMessageRequest.decode(request.extFields)
    const knowsGroup = request.code === RequestCode.LITE_PULL_MESSAGE || this.members.has(consumerGroup)
    if (!knowsGroup) return { code: ResponseCode.SUBSCRIPTION_NOT_EXIST }
    const key = `${topic}@${queueId}`
    const records = this.queues.get(key) ?? []
    const found = records.slice(queueOffset, queueOffset + maxMsgNums)
    if (found.length === 0) {
      this.#held.push({ request, key })
      return undefined
    }
    const nextBeginOffset = queueOffset + found.length
    const offsets = { suggestWhichBrokerId: 0, nextBeginOffset, minOffset: 0, maxOffset: records.length }
    return { ...success(pullMessageResponse.encode(offsets)), body: found }
  }
}

const hanging: ReadonlySet<number> = new Set([RequestCode.SEND_MESSAGE_V2, RequestCode.PULL_MESSAGE])

function success(extFields: Record<string, string>): Response {
  return { code: ResponseCode.SUCCESS, extFields }
}
