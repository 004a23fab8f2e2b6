import { crc32 } from 'node:zlib'
import { isOperatingError } from '../../base/errors.ts'
import { isSameDataVersion, readDataVersion } from '../../remoting/body/data-version.ts'
import { writeKvTable, writeTopicList } from '../../remoting/body/lists.ts'
import { peekDataVersion, type RegistrationBody, registrationReader } from '../../remoting/body/register-broker.ts'
import {
  readTopicRouteData,
  writeBrokerMemberGroup,
  writeClusterInfo,
  writeTopicRouteData,
} from '../../remoting/body/route.ts'
import { RequestCode, ResponseCode, TopicSysFlag } from '../../remoting/codes.ts'
import { brokerHeartbeatRequest } from '../../remoting/headers/broker-heartbeat.ts'
import {
  queryDataVersionRequest,
  queryDataVersionResponse,
  type UnregisterBrokerRequest,
  unregisterBrokerRequest,
} from '../../remoting/headers/broker-identity.ts'
import { getBrokerMemberGroupRequest } from '../../remoting/headers/get-broker-member-group.ts'
import { getRouteInfoRequest } from '../../remoting/headers/get-route-info.ts'
import {
  getKvConfigResponse,
  getKvListRequest,
  kvConfigRequest,
  putKvConfigRequest,
} from '../../remoting/headers/kv-config.ts'
import {
  type RegisterBrokerRequest,
  registerBrokerRequest,
  registerBrokerResponse,
} from '../../remoting/headers/register-broker.ts'
import {
  deleteTopicInNamesrvRequest,
  getTopicsByClusterRequest,
  registerTopicRequest,
} from '../../remoting/headers/topic.ts'
import { addWritePermResponse, wipeWritePermResponse, writePermRequest } from '../../remoting/headers/write-perm.ts'
import { readJson } from '../../remoting/json.ts'
import type { Request, Response } from '../../remoting/request.ts'
import { Version } from '../../remoting/version.ts'
import { readProperties } from '../../tunables/index.ts'
import { orderTopicNamespace } from './kv-config.ts'
import { isWaitingForBrokers, type NameServerState } from './state.ts'
import { inZone, wantedZone, zoneNameOf } from './zone.ts'

type Answer = (request: Request, server: NameServerState) => Response | Promise<Response>

/** Everything that a NameServer answers. Texts are Apache's: tools and people know them. */
const answers: Readonly<Record<number, Answer>> = {
  [RequestCode.REGISTER_BROKER]: registerBroker,
  [RequestCode.UNREGISTER_BROKER]: unregisterBroker,
  [RequestCode.BROKER_HEARTBEAT]: brokerHeartbeat,
  [RequestCode.QUERY_DATA_VERSION]: queryDataVersion,

  [RequestCode.GET_ROUTEINFO_BY_TOPIC]: getRouteInfo,
  [RequestCode.GET_BROKER_CLUSTER_INFO]: (_, { routes }) => json(writeClusterInfo(routes.clusterInfo())),
  [RequestCode.GET_BROKER_MEMBER_GROUP]: getBrokerMemberGroup,
  [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER]: getAllTopics,
  [RequestCode.GET_TOPICS_BY_CLUSTER]: getTopicsByCluster,
  [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS]: (_, { routes }) => json(writeTopicList(routes.systemTopics())),

  [RequestCode.GET_UNIT_TOPIC_LIST]: flaggedTopics(TopicSysFlag.UNIT),
  [RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST]: flaggedTopics(TopicSysFlag.UNIT_SUB),
  [RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST]: flaggedTopics(TopicSysFlag.UNIT_SUB, TopicSysFlag.UNIT),

  [RequestCode.WIPE_WRITE_PERM_OF_BROKER]: wipeWritePerm,
  [RequestCode.ADD_WRITE_PERM_OF_BROKER]: addWritePerm,
  [RequestCode.DELETE_TOPIC_IN_NAMESRV]: deleteTopic,
  [RequestCode.REGISTER_TOPIC_IN_NAMESRV]: registerTopic,

  [RequestCode.PUT_KV_CONFIG]: putKvConfig,
  [RequestCode.GET_KV_CONFIG]: getKvConfig,
  [RequestCode.DELETE_KV_CONFIG]: deleteKvConfig,
  [RequestCode.GET_KVLIST_BY_NAMESPACE]: getKvList,

  [RequestCode.UPDATE_NAMESRV_CONFIG]: updateConfig,
  [RequestCode.GET_NAMESRV_CONFIG]: (_, { settings }) => json(settings.text()),
}

/** @throws OperatingError HEADER_INVALID, BODY_INVALID and what the request's deed throws */
export function answer(request: Request, server: NameServerState): Response | Promise<Response> {
  const act = answers[request.code]
  if (act !== undefined) return act(request, server)
  return refuse(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, ` request type ${request.code} not supported`)
}

const done: Response = { code: ResponseCode.SUCCESS }
const busy = refuse(ResponseCode.SYSTEM_BUSY, '[OVERLOAD]system busy, start flow control for a while')

function json(text: string, extFields?: Record<string, string>): Response {
  return { code: ResponseCode.SUCCESS, extFields, body: Buffer.from(text) }
}

function refuse(code: number, remark: string): Response {
  return { code, remark }
}

/** Registrations of all brokers are read and merged one after the other, and a broker leaves in the same order. */
function registerBroker(request: Request, server: NameServerState): Response | Promise<Response> {
  const header = registerBrokerRequest.decode(request.extFields)
  const body = Buffer.from(request.body) // read in later turns, too
  return server.registrations.run(registering(request, header, body, server), body.length) ?? busy
}

function* registering(
  request: Request,
  header: RegisterBrokerRequest,
  bytes: Buffer,
  { brokers, kvConfig, settings, clock, log, warnings, tellMinBrokerId }: NameServerState,
): Generator<void, Response> {
  const { clusterName, brokerName, brokerId, brokerAddr } = header
  const broker = { clusterName, brokerName, brokerId, brokerAddr }
  if (!request.connection.isOpen) return done // nobody waits for it, and nobody would notice the broker's end
  const print = { crc32: crc32(bytes) & 0x7fff_ffff, bytes: bytes.length }
  if (header.bodyCrc32 !== 0 && print.crc32 !== header.bodyCrc32) {
    warnings.warn(log, { brokerName, brokerAddr }, 'a registration arrived damaged')
    return refuse(ResponseCode.SYSTEM_ERROR, 'crc32 not match')
  }
  const version = peekDataVersion(bytes)
  const isActingMasterKnown = header.enableActingMaster !== undefined
  const isMerged = version !== undefined && brokers.hasMerged(broker, isActingMasterKnown, version, print)
  if (!isMerged && print.bytes > stepBytes) yield
  const body: RegistrationBody | Pick<RegistrationBody, 'dataVersion'> = isMerged
    ? { dataVersion: version }
    : yield* registrationReader(bytes, { isCompressed: header.compressed, version: request.version })
  if (!request.connection.isOpen) return done
  const { topics, mappings, filterServers } = 'topics' in body ? body : asBefore
  const result = yield* brokers.registering(
    {
      ...broker,
      haServerAddr: header.haServerAddr,
      enableActingMaster: header.enableActingMaster,
      zoneName: zoneNameOf(request.extFields),
      timeoutMs: header.heartbeatTimeoutMillis,
      dataVersion: body.dataVersion,
      topics,
      mappings,
      filterServers,
      print,
    },
    request.connection,
    clock.monotonicMs(),
    settings.current.deleteTopicWithBrokerRegistration,
  )
  const facts = { ...broker, topics: topics?.length }
  if (result.status === 'refused') {
    warnings.warn(log, facts, 'a registration was refused')
    return refuse(ResponseCode.SYSTEM_ERROR, 'register broker failed')
  }
  if (result.status === 'outdated')
    warnings.warn(log, facts, 'a registration came from an outdated holder of its broker id')
  else {
    if (result.isNew) log.info(facts, 'broker registered')
    if (result.refusedTopics > 0)
      warnings.warn(log, { ...facts, refusedTopics: result.refusedTopics }, 'topics were not taken: there are too many')
    if (result.change !== undefined) tellMinBrokerId(result.change)
  }
  const master = result.status === 'registered' ? result.master : undefined
  const orders = settings.current.returnOrderTopicConfigToBroker ? kvConfig.namespace(orderTopicNamespace) : undefined
  return {
    code: ResponseCode.SUCCESS,
    extFields: registerBrokerResponse.encode({ haServerAddr: master?.haServerAddr, masterAddr: master?.brokerAddr }),
    body: orders && Buffer.from(writeKvTable(orders)),
  }
}

/** Checking as many takes as long as another step. */
const stepBytes = 256 * 1024
const asBefore = { topics: undefined, mappings: new Map<string, never>(), filterServers: [] as string[] }

function unregisterBroker(request: Request, server: NameServerState): Response | Promise<Response> {
  const broker = unregisterBrokerRequest.decode(request.extFields)
  return server.registrations.run(unregistering(broker, server), 0) ?? busy
}

// biome-ignore lint/correctness/useYield: a task of the queue, in a single step
function* unregistering(
  broker: UnregisterBrokerRequest,
  { brokers, log, tellMinBrokerId }: NameServerState,
): Generator<void, Response> {
  const change = brokers.unregister(broker)
  log.info({ ...broker }, 'broker unregistered')
  if (change !== undefined) tellMinBrokerId(change)
  return done
}

function brokerHeartbeat(request: Request, { brokers, clock }: NameServerState): Response {
  brokers.refresh(brokerHeartbeatRequest.decode(request.extFields), clock.monotonicMs())
  return done
}

/** The broker sends its topics only when they are not the ones that are known here. */
function queryDataVersion(request: Request, { brokers, clock }: NameServerState): Response {
  const broker = queryDataVersionRequest.decode(request.extFields)
  const known = brokers.dataVersionOf(broker)
  const changed = known === undefined || !isSameDataVersion(known, readDataVersion(readJson(request.body)))
  brokers.refresh(broker, clock.monotonicMs())
  const extFields = queryDataVersionResponse.encode({ changed })
  return known === undefined ? { ...done, extFields } : json(JSON.stringify(known), extFields)
}

function getRouteInfo(request: Request, server: NameServerState): Response {
  if (isWaitingForBrokers(server)) return refuse(ResponseCode.SYSTEM_ERROR, 'name server not ready')
  const { topic, acceptStandardJsonOnly } = getRouteInfoRequest.decode(request.extFields)
  const { routes, kvConfig, settings } = server
  const route = routes.routeOf(topic, settings.current.supportActingMaster)
  if (route === undefined) {
    return refuse(
      ResponseCode.TOPIC_NOT_EXIST,
      `No topic route info in name server for the topic: ${topic}\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.`,
    )
  }
  if (settings.current.orderMessageEnable) route.orderTopicConf = kvConfig.get(orderTopicNamespace, topic)
  const isStrict = acceptStandardJsonOnly || request.version >= Version.V4_9_4
  const zone = wantedZone(request.extFields)
  return json(writeTopicRouteData(zone === undefined ? route : inZone(route, zone), isStrict))
}

function getBrokerMemberGroup(request: Request, { routes }: NameServerState): Response {
  const { clusterName, brokerName } = getBrokerMemberGroupRequest.decode(request.extFields)
  return json(writeBrokerMemberGroup(routes.membersOf(clusterName, brokerName)))
}

function getAllTopics(_: Request, { routes, settings }: NameServerState): Response {
  if (!settings.current.enableAllTopicList) return refuse(ResponseCode.SYSTEM_ERROR, 'disable')
  return json(writeTopicList({ topicList: routes.topics() }))
}

function getTopicsByCluster(request: Request, { routes, settings }: NameServerState): Response {
  if (!settings.current.enableTopicList) return refuse(ResponseCode.SYSTEM_ERROR, 'disable')
  const { cluster } = getTopicsByClusterRequest.decode(request.extFields)
  return json(writeTopicList({ topicList: routes.topicsOf(cluster) }))
}

function flaggedTopics(set: number, unset = 0) {
  return (_: Request, { routes, settings }: NameServerState): Response =>
    settings.current.enableTopicList
      ? json(writeTopicList({ topicList: routes.topicsFlagged(set, unset) }))
      : refuse(ResponseCode.SYSTEM_ERROR, 'disable')
}

/** What changes routes that a registration changes in many steps: after those that wait, so that it holds for them too. */
function inTurn(server: NameServerState, act: () => Response): Response | Promise<Response> {
  // biome-ignore lint/correctness/useYield: a task of the queue, in a single step
  function* task(): Generator<void, Response> {
    return act()
  }
  return server.registrations.run(task(), 0) ?? busy
}

function wipeWritePerm(request: Request, server: NameServerState): Response | Promise<Response> {
  const { brokerName } = writePermRequest.decode(request.extFields)
  return inTurn(server, () => {
    const wipeTopicCount = server.routes.setWritable(brokerName, false)
    server.log.info({ brokerName, topics: wipeTopicCount }, 'write permission wiped')
    return { ...done, extFields: wipeWritePermResponse.encode({ wipeTopicCount }) }
  })
}

function addWritePerm(request: Request, server: NameServerState): Response | Promise<Response> {
  const { brokerName } = writePermRequest.decode(request.extFields)
  return inTurn(server, () => {
    const addTopicCount = server.routes.setWritable(brokerName, true)
    server.log.info({ brokerName, topics: addTopicCount }, 'write permission given')
    return { ...done, extFields: addWritePermResponse.encode({ addTopicCount }) }
  })
}

/** Answers success whatever came of it, as Apache does; the log tells. */
function registerTopic(request: Request, { routes, log, warnings }: NameServerState): Response {
  const { topic } = registerTopicRequest.decode(request.extFields)
  const { queueDatas } = readTopicRouteData(request.body)
  const brokerNames = queueDatas.map(({ brokerName }) => brokerName)
  if (routes.registerTopic(topic, queueDatas)) log.info({ topic, brokerNames }, 'topic registered by an admin')
  else {
    const why = 'a topic was not registered: a broker is unknown, or there are too many topics'
    warnings.warn(log, { topic, brokerNames }, why)
  }
  return done
}

function deleteTopic(request: Request, server: NameServerState): Response | Promise<Response> {
  const { topic, clusterName } = deleteTopicInNamesrvRequest.decode(request.extFields)
  return inTurn(server, () => {
    server.routes.deleteTopic(topic, clusterName || undefined)
    server.log.info({ topic, clusterName }, 'topic deleted')
    return done
  })
}

function putKvConfig(request: Request, { kvConfig }: NameServerState): Response {
  const { namespace, key, value } = putKvConfigRequest.decode(request.extFields)
  kvConfig.put(namespace, key, value)
  return done
}

function getKvConfig(request: Request, { kvConfig }: NameServerState): Response {
  const { namespace, key } = kvConfigRequest.decode(request.extFields)
  const value = kvConfig.get(namespace, key)
  return value === undefined
    ? refuse(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace} Key: ${key}`)
    : { ...done, extFields: getKvConfigResponse.encode({ value }) }
}

function deleteKvConfig(request: Request, { kvConfig }: NameServerState): Response {
  const { namespace, key } = kvConfigRequest.decode(request.extFields)
  kvConfig.delete(namespace, key)
  return done
}

function getKvList(request: Request, { kvConfig }: NameServerState): Response {
  const { namespace } = getKvListRequest.decode(request.extFields)
  const entries = kvConfig.namespace(namespace)
  return entries === undefined
    ? refuse(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace}`)
    : json(writeKvTable(entries))
}

function updateConfig(request: Request, { settings }: NameServerState): Response {
  const changes = readProperties(request.body.toString('utf8'), 'UPDATE_NAMESRV_CONFIG')
  if ([...changes.keys()].some((key) => settings.isProtected(key))) {
    return refuse(ResponseCode.NO_PERMISSION, 'Can not update config in black list.')
  }
  try {
    settings.update(changes)
  } catch (error) {
    if (!isOperatingError(error, 'SETTING_INVALID')) throw error
    return refuse(ResponseCode.INVALID_PARAMETER, error.message)
  }
  return done
}
