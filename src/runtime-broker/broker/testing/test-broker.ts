import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Doors } from '../../../base/doors.ts'
import type { Files } from '../../../base/files.ts'
import { silentLog } from '../../../base/log.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../../../base/node/index.ts'
import { MemoryNetwork } from '../../../base/testing/network.ts'
import { type MessageModel, writeHeartbeatData } from '../../../remoting/body/heartbeat.ts'
import { RemotingClient } from '../../../remoting/client.ts'
import { PullSysFlag, RequestCode } from '../../../remoting/codes.ts'
import type { Command } from '../../../remoting/command.ts'
import { decodeMessages, formatProperties, type StoredMessage, tagsCodeOf } from '../../../remoting/message/index.ts'
import type { Request, Response } from '../../../remoting/server.ts'
import { pullFields, sendFields } from '../../../remoting/testing/requests.ts'
import { type BrokerSettings, brokerSettingsOf } from '../../../tunables/index.ts'
import { propertiesOf, testMachine } from '../../../tunables/testing/settings.ts'
import { type RunningBroker, startBroker } from '../broker.ts'

const callTimeoutMs = 8_000

export interface TestBroker {
  readonly running: RunningBroker
  readonly network: MemoryNetwork
  readonly client: TestClient
  connect(): TestClient
  /** @param changes settings that are others from now on */
  restart(changes?: Record<string, unknown>): Promise<void>
  stop(): Promise<void>
}

/** A whole broker on memory's network, and on a folder of its own, or on the disk that is given. */
export async function startTestBroker(
  settings: Record<string, unknown> = {},
  network = new MemoryNetwork(),
  files: Files = nodeFiles,
): Promise<TestBroker> {
  const rootDir = mkdtempSync(join(tmpdir(), 'test-broker-'))
  const doors: Doors = { clock: nodeClock, files, random: nodeRandom, network, log: silentLog }
  const given: Record<string, unknown> = {
    brokerName: 'broker-a',
    brokerIP1: '127.0.0.1',
    bindAddress: '127.0.0.1',
    listenPort: 10_911,
    storePathRootDir: rootDir,
    mappedFileSizeCommitLog: 16 * 1024 * 1024,
    ...settings,
  }
  const clients: TestClient[] = []
  const connect = () => {
    const client = new TestClient(doors, `127.0.0.1:${given.listenPort}`)
    clients.push(client)
    return client
  }
  let running = await startBroker(settingsOf(given), doors)
  const client = connect()
  return {
    get running() {
      return running
    },
    network,
    client,
    connect,
    async restart(changes = {}) {
      await running.stop()
      Object.assign(given, changes)
      running = await startBroker(settingsOf(given), doors)
    },
    async stop() {
      for (const each of clients) await each.close()
      await running.stop()
      rmSync(rootDir, { recursive: true, force: true })
    },
  }
}

function settingsOf(given: Record<string, unknown>): BrokerSettings {
  return brokerSettingsOf(propertiesOf(given), testMachine)
}

export interface Pulled {
  code: number
  remark: string | undefined
  nextBeginOffset: number
  messages: StoredMessage[]
  bodies: string[]
}

/** Speaks to the broker as a client does. */
export class TestClient {
  /** Requests that the broker sent, in order. */
  readonly received: Request[] = []
  answer: (request: Request) => Response = () => ({ code: 0 })
  readonly #remoting: RemotingClient
  readonly #address: string

  constructor(doors: Doors, address: string) {
    this.#address = address
    const onRequest = (request: Request) => {
      this.received.push(request)
      return this.answer(request)
    }
    this.#remoting = new RemotingClient({ onRequest }, doors)
  }

  call(code: number, extFields: Record<string, unknown> = {}, body?: unknown): Promise<Command> {
    const texts = Object.fromEntries(Object.entries(extFields).map(([key, value]) => [key, String(value)]))
    const bytes = Buffer.isBuffer(body) ? body : typeof body === 'string' ? Buffer.from(body) : undefined
    const json = body === undefined || bytes !== undefined ? bytes : Buffer.from(JSON.stringify(body))
    const command = { code, extFields: texts, ...(json && { body: json }) }
    return this.#remoting.call(this.#address, command, callTimeoutMs)
  }

  createTopic(topic: string, queues = 1, perm = 6): Promise<Command> {
    return this.call(RequestCode.UPDATE_AND_CREATE_TOPIC, {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: queues,
      writeQueueNums: queues,
      perm,
      topicFilterType: 'SINGLE_TAG',
    })
  }

  send(topic: string, message: Partial<Sent> = {}): Promise<Command> {
    const { code = RequestCode.SEND_MESSAGE_V2, body = 'hello', properties = {}, ...header } = message
    const extFields = sendFields({ topic, properties: formatProperties(Object.entries(properties)), ...header })
    return this.call(code, extFields, body)
  }

  async pull(topic: string, asked: Partial<Asked> = {}): Promise<Pulled> {
    const { holdMs = 0, subscription = '*', isLite = true, ...header } = asked
    const sysFlag = (holdMs > 0 ? PullSysFlag.SUSPEND : 0) | (isLite ? PullSysFlag.SUBSCRIPTION : 0)
    const extFields = pullFields({ topic, sysFlag, suspendTimeoutMillis: holdMs, subscription, ...header })
    const answer = await this.call(RequestCode.PULL_MESSAGE, extFields)
    const messages = decodeMessages(answer.body)
    return {
      code: answer.code,
      remark: answer.remark,
      nextBeginOffset: Number(answer.extFields.nextBeginOffset),
      messages,
      bodies: messages.map(({ body }) => body.toString()),
    }
  }

  subscribe(
    topic: string,
    {
      group = 'consumers',
      clientId = 'client-1',
      tags = [] as string[],
      subVersion = 1n,
      expressionType = 'TAG',
      expression = '',
      messageModel = 'CLUSTERING' as MessageModel,
    } = {},
  ) {
    const subscription = {
      topic,
      subString: expression || tags.join('||') || '*',
      tagsSet: tags,
      codeSet: tags.map(tagsCodeOf),
      subVersion,
      expressionType,
      classFilterMode: false,
    }
    const consumer = {
      groupName: group,
      consumeType: 'CONSUME_PASSIVELY' as const,
      messageModel,
      consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET' as const,
      subscriptionDataSet: [subscription],
      unitMode: false,
    }
    const body = writeHeartbeatData({
      clientID: clientId,
      producerDataSet: [],
      consumerDataSet: [consumer],
      heartbeatFingerprint: 0,
      withoutSub: false,
    })
    return this.call(RequestCode.HEART_BEAT, {}, body)
  }

  close(): Promise<void> {
    return this.#remoting.close()
  }
}

interface Sent {
  code: number
  defaultTopic: string
  body: string | Buffer
  properties: Record<string, string>
  queueId: number
  sysFlag: number
  bornTimestamp: number
  reconsumeTimes: number
  maxReconsumeTimes: number
  batch: boolean
}

interface Asked {
  consumerGroup: string
  queueId: number
  queueOffset: number
  maxMsgNums: number
  holdMs: number
  subscription: string
  expressionType: string
  subVersion: number | bigint
  /** Brings its subscription along instead of relying on a heartbeat. */
  isLite: boolean
}
