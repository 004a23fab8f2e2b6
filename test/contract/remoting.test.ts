import { crc32 } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { readConsumerConnection, writeConsumerConnection } from '../../src/remoting/body/connections.ts'
import { Fields } from '../../src/remoting/body/fields.ts'
import { readHeartbeatData, writeHeartbeatData } from '../../src/remoting/body/heartbeat.ts'
import {
  readConsumerIdList,
  readGroupList,
  readKvTable,
  readTopicList,
  writeConsumerIdList,
  writeGroupList,
  writeKvTable,
  writeTopicList,
} from '../../src/remoting/body/lists.ts'
import { readRegistration, writeRegisterBrokerBody } from '../../src/remoting/body/register-broker.ts'
import {
  readClusterInfo,
  readTopicRouteData,
  writeClusterInfo,
  writeTopicRouteData,
} from '../../src/remoting/body/route.ts'
import {
  readConsumeStats,
  readConsumeStatsList,
  readResetOffsets,
  readTopicStatsTable,
  writeConsumeStats,
  writeConsumeStatsList,
  writeResetOffsets,
  writeTopicStatsTable,
} from '../../src/remoting/body/stats.ts'
import {
  readSubscriptionGroupConfig,
  readSubscriptionGroupTable,
  writeSubscriptionGroupTable,
} from '../../src/remoting/body/subscription-group.ts'
import { readTopicConfig, readTopicConfigTable } from '../../src/remoting/body/topic-config.ts'
import { RequestCode } from '../../src/remoting/codes.ts'
import type { Command } from '../../src/remoting/command.ts'
import { encodeCommand, encodeRocketmqCommand, FrameDecoder } from '../../src/remoting/frame.ts'
import type { HeaderCodec } from '../../src/remoting/header.ts'
import { getBrokerConfigResponse } from '../../src/remoting/headers/broker-config.ts'
import { unregisterBrokerRequest } from '../../src/remoting/headers/broker-identity.ts'
import { heartbeatResponse, unregisterClientRequest } from '../../src/remoting/headers/client-registration.ts'
import { getBrokerConsumeStatsRequest, getConsumeStatsRequest } from '../../src/remoting/headers/consume-stats.ts'
import {
  consumerGroupRequest,
  deleteSubscriptionGroupRequest,
  getConsumerRunningInfoRequest,
} from '../../src/remoting/headers/consumer-group.ts'
import {
  queryConsumerOffsetRequest,
  resetOffsetRequest,
  updateConsumerOffsetRequest,
} from '../../src/remoting/headers/consumer-offset.ts'
import { createTopicRequest } from '../../src/remoting/headers/create-topic.ts'
import { getRouteInfoRequest } from '../../src/remoting/headers/get-route-info.ts'
import { getKvConfigResponse, kvConfigRequest, putKvConfigRequest } from '../../src/remoting/headers/kv-config.ts'
import { pullMessageRequest, pullMessageResponse } from '../../src/remoting/headers/pull-message.ts'
import { offsetResponse } from '../../src/remoting/headers/queue-offset.ts'
import { registerBrokerRequest } from '../../src/remoting/headers/register-broker.ts'
import {
  decodeSendMessageV2,
  sendMessageRequestV2,
  sendMessageResponse,
} from '../../src/remoting/headers/send-message.ts'
import { deleteTopicInNamesrvRequest, topicRequest } from '../../src/remoting/headers/topic.ts'
import { addWritePermResponse, wipeWritePermResponse, writePermRequest } from '../../src/remoting/headers/write-perm.ts'
import { readJson, writeJson } from '../../src/remoting/json.ts'
import { requestOf } from '../../src/remoting/testing/requests.ts'
import { ourVersion, Version } from '../../src/remoting/version.ts'
import { readBodyVectors } from './headers.ts'
import { readVectors, type Vector } from './vectors.ts'

// biome-ignore lint/suspicious/noExplicitAny: a header of any table
type AnyCodec = HeaderCodec<any>

const requestHeaders: Partial<Record<number, AnyCodec>> = {
  [RequestCode.SEND_MESSAGE_V2]: sendMessageRequestV2,
  [RequestCode.SEND_BATCH_MESSAGE]: sendMessageRequestV2,
  [RequestCode.PULL_MESSAGE]: pullMessageRequest,
  [RequestCode.QUERY_CONSUMER_OFFSET]: queryConsumerOffsetRequest,
  [RequestCode.UPDATE_CONSUMER_OFFSET]: updateConsumerOffsetRequest,
  [RequestCode.UPDATE_AND_CREATE_TOPIC]: createTopicRequest,
  [RequestCode.UNREGISTER_CLIENT]: unregisterClientRequest,
  [RequestCode.GET_CONSUMER_LIST_BY_GROUP]: consumerGroupRequest,
  [RequestCode.NOTIFY_CONSUMER_IDS_CHANGED]: consumerGroupRequest,
  [RequestCode.GET_CONSUMER_CONNECTION_LIST]: consumerGroupRequest,
  [RequestCode.GET_TOPIC_STATS_INFO]: topicRequest,
  [RequestCode.GET_TOPIC_CONFIG]: topicRequest,
  [RequestCode.QUERY_TOPIC_CONSUME_BY_WHO]: topicRequest,
  [RequestCode.DELETE_TOPIC_IN_BROKER]: topicRequest,
  [RequestCode.DELETE_TOPIC_IN_NAMESRV]: deleteTopicInNamesrvRequest,
  [RequestCode.DELETE_SUBSCRIPTIONGROUP]: deleteSubscriptionGroupRequest,
  [RequestCode.GET_CONSUME_STATS]: getConsumeStatsRequest,
  [RequestCode.GET_BROKER_CONSUME_STATS]: getBrokerConsumeStatsRequest,
  [RequestCode.INVOKE_BROKER_TO_RESET_OFFSET]: resetOffsetRequest,
  [RequestCode.GET_CONSUMER_RUNNING_INFO]: getConsumerRunningInfoRequest,
  [RequestCode.REGISTER_BROKER]: registerBrokerRequest,
  [RequestCode.UNREGISTER_BROKER]: unregisterBrokerRequest,
  [RequestCode.GET_ROUTEINFO_BY_TOPIC]: getRouteInfoRequest,
  [RequestCode.WIPE_WRITE_PERM_OF_BROKER]: writePermRequest,
  [RequestCode.ADD_WRITE_PERM_OF_BROKER]: writePermRequest,
  [RequestCode.PUT_KV_CONFIG]: putKvConfigRequest,
  [RequestCode.GET_KV_CONFIG]: kvConfigRequest,
  [RequestCode.DELETE_KV_CONFIG]: kvConfigRequest,
}

const responseHeaders: Partial<Record<number, AnyCodec>> = {
  [RequestCode.SEND_MESSAGE_V2]: sendMessageResponse,
  [RequestCode.SEND_BATCH_MESSAGE]: sendMessageResponse,
  [RequestCode.PULL_MESSAGE]: pullMessageResponse,
  [RequestCode.QUERY_CONSUMER_OFFSET]: offsetResponse,
  [RequestCode.HEART_BEAT]: heartbeatResponse,
  [RequestCode.GET_BROKER_CONFIG]: getBrokerConfigResponse,
  [RequestCode.GET_KV_CONFIG]: getKvConfigResponse,
  [RequestCode.WIPE_WRITE_PERM_OF_BROKER]: wipeWritePermResponse,
  [RequestCode.ADD_WRITE_PERM_OF_BROKER]: addWritePermResponse,
}

/**
 * Fields of no header table. bname and ReqT are for proxies and hooks, lo and force of static topics. The others page
 * GET_ALL_SUBSCRIPTIONGROUP_CONFIG; an answer without the total is complete.
 */
const ignoredFields = ['bname', 'ReqT', 'lo', 'force', 'groupSeq', 'maxGroupNum', 'dataVersion', 'totalGroupNum']

/** Reads a body and writes it again. */
type Rewrite = (body: Buffer) => string
const requestBodies: Partial<Record<number, Rewrite>> = {
  [RequestCode.HEART_BEAT]: (body) => writeHeartbeatData(readHeartbeatData(body)),
  [RequestCode.REGISTER_BROKER]: (body) => {
    const fields = Fields.of('RegisterBrokerBody', body)
    const topicConfigSerializeWrapper = readTopicConfigTable(fields.fields('topicConfigSerializeWrapper').value)
    return writeRegisterBrokerBody({ topicConfigSerializeWrapper, filterServerList: fields.texts('filterServerList') })
  },
  [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP]: (body) => writeJson(readSubscriptionGroupConfig(readJson(body))),
}
const responseBodies: Partial<Record<number, Rewrite>> = {
  [RequestCode.GET_ROUTEINFO_BY_TOPIC]: (body) => writeTopicRouteData(readTopicRouteData(body), true),
  [RequestCode.GET_BROKER_CLUSTER_INFO]: (body) => writeClusterInfo(readClusterInfo(body)),
  [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER]: (body) => writeTopicList(readTopicList(body)),
  [RequestCode.GET_TOPIC_CONFIG]: (body) => writeJson(readTopicConfig(readJson(body))),
  [RequestCode.GET_TOPIC_STATS_INFO]: (body) => writeTopicStatsTable(readTopicStatsTable(body)),
  [RequestCode.GET_CONSUME_STATS]: (body) => writeConsumeStats(readConsumeStats(body)),
  [RequestCode.GET_BROKER_CONSUME_STATS]: (body) => writeConsumeStatsList(readConsumeStatsList(body)),
  [RequestCode.GET_CONSUMER_CONNECTION_LIST]: (body) => writeConsumerConnection(readConsumerConnection(body)),
  [RequestCode.GET_CONSUMER_LIST_BY_GROUP]: (body) => writeConsumerIdList(readConsumerIdList(body)),
  [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG]: (body) =>
    writeSubscriptionGroupTable(readSubscriptionGroupTable(readJson(body))),
  [RequestCode.GET_BROKER_RUNTIME_INFO]: (body) => writeKvTable(readKvTable(body)),
  [RequestCode.QUERY_TOPIC_CONSUME_BY_WHO]: (body) => writeGroupList(readGroupList(body)),
  [RequestCode.INVOKE_BROKER_TO_RESET_OFFSET]: (body) => writeResetOffsets(readResetOffsets(body)),
}

const vectors = readVectors().map((vector) => ({ ...vector, command: commandOf(vector) }))
const titled = vectors.map((vector) => [title(vector), vector] as const)

function commandOf({ frame }: Vector): Command {
  const commands: Command[] = []
  new FrameDecoder().push(Buffer.from(frame, 'hex'), (command) => commands.push(command))
  expect(commands).toHaveLength(1)
  const { send, ...command } = { ...commands[0]!, extFields: commands[0]!.extFields } // one that was known has its header read
  if (send !== undefined) expect(requestOf(send)).toEqual(decodeSendMessageV2(command.extFields))
  return command
}

function title({ file, at, from, code, answer, frame }: Vector & { file: string }): string {
  const name = Object.entries(RequestCode).find(([, value]) => value === code)?.[0] ?? code
  const serialisation = frame.slice(8, 10) === '01' ? ' (ROCKETMQ)' : ''
  return `${file}: ${name} at ${at}, ${answer === undefined ? 'request' : `answer ${answer}`} of the ${from}${serialisation}`
}

test('there are vectors of both roles, both directions and both serialisations', () => {
  const kinds = new Set(vectors.flatMap(({ at, from, frame }) => [at, from, frame.slice(8, 10)]))

  expect([...kinds].sort()).toEqual(['00', '01', 'broker', 'client', 'namesrv', 'server'])
  expect(vectors.length).toBeGreaterThan(80)
})

test.each(titled)('%s', (_, { code, answer, from, command }) => {
  expect(decoded(encodeCommand(command))).toEqual(command)
  expect(decoded(encodeRocketmqCommand(command))).toEqual(command)

  const isRequest = answer === undefined
  const header = isRequest ? requestHeaders[code] : answer === 0 ? responseHeaders[code] : undefined
  const written = header?.encode(header.decode(command.extFields)) ?? {}
  for (const [key, value] of Object.entries(command.extFields)) {
    if (!ignoredFields.includes(key)) expect([key, written[key]]).toEqual([key, value])
  }

  const rewrite = isRequest ? requestBodies[code] : answer === 0 ? responseBodies[code] : undefined
  if (rewrite !== undefined && from === (isRequest ? 'client' : 'server') && command.body.length > 0) {
    expect(comparable(rewrite(command.body))).toMatchObject(comparable(command.body.toString()))
  }
})

/** The version of the mappings of static topics is left out: we have none. */
function comparable(json: string): object {
  return readJson(json.replace(/"mappingDataVersion":\{[^}]*\},/, '')) as object
}

function decoded(frame: Buffer): Command {
  return commandOf({ at: '', from: 'client', code: 0, frame: frame.toString('hex') })
}

test('a registration carries the CRC of its body', () => {
  const registrations = vectors.filter(
    ({ code, answer }) => code === RequestCode.REGISTER_BROKER && answer === undefined,
  )

  for (const { command } of registrations) {
    const { bodyCrc32 } = registerBrokerRequest.decode(command.extFields)
    expect(bodyCrc32).toBe(crc32(command.body) & 0x7fff_ffff)
  }
  expect(registrations.length).toBeGreaterThan(0)
})

const topicsOfBodies = [
  { topicName: 'Plain', readQueueNums: 4, writeQueueNums: 5, perm: 6, topicSysFlag: 1 },
  { topicName: 'Static', readQueueNums: 3, writeQueueNums: 3, perm: 6, topicSysFlag: 0 },
  { topicName: 'Typed "ü"\\', readQueueNums: 1, writeQueueNums: 2, perm: 4, topicSysFlag: 0 },
]
const staticMapping = {
  bname: 'broker-ü',
  currIdMap: new Map([
    [0, 1],
    [2, 0],
  ]),
  dirty: false,
  epoch: 5,
  scope: '__global__',
  topic: 'Static',
  totalQueues: 3,
}

test.each([
  ['registration', false, ourVersion],
  ['registrationCompressed', true, Version.V5_0_0],
  ['registrationBeforeV3_0_11', false, Version.V3_0_11 - 1],
])('%s of Apache is read', (name, isCompressed, version) => {
  const body = readBodyVectors().get(name)!

  const read = readRegistration(body, { isCompressed, version })

  expect(read.dataVersion).toEqual({ counter: 7, stateVersion: 2, timestamp: 1_700_000_000_000 })
  const known = isCompressed ? topicsOfBodies.map((topic) => ({ ...topic, topicSysFlag: 0 })) : topicsOfBodies // it carries none
  expect(read.topics).toEqual(known.map((topic) => expect.objectContaining(topic)))
  const isOld = version < Version.V3_0_11
  expect(read.filterServers).toEqual(isOld ? [] : ['10.0.0.9:1'])
  expect([...read.mappings]).toEqual(isOld ? [] : [['Static', staticMapping]])
})

test('a compressed registration of a release before static topics is read', () => {
  const body = readBodyVectors().get('registrationCompressed')!

  const { topics, mappings } = readRegistration(body, { isCompressed: true, version: Version.V5_0_0 - 1 })

  expect([topics.length, mappings.size]).toEqual([3, 0])
})

test.each([
  ['routeLenient', false],
  ['routeStrict', true],
])('%s is written byte for byte as Apache writes it', (name, isStrict) => {
  const body = readBodyVectors().get(name)!
  expect(writeTopicRouteData(readTopicRouteData(body), isStrict)).toBe(body.toString())
})

test('routes and cluster information are written byte for byte as Apache writes them', () => {
  const bodyOf = (code: number) => vectors.find((vector) => vector.code === code && vector.answer === 0)!.command.body

  const route = bodyOf(RequestCode.GET_ROUTEINFO_BY_TOPIC)
  expect(writeTopicRouteData(readTopicRouteData(route), true)).toBe(route.toString())
  const cluster = bodyOf(RequestCode.GET_BROKER_CLUSTER_INFO)
  expect(writeClusterInfo(readClusterInfo(cluster))).toBe(cluster.toString())
})
