import { deflateSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readJson } from '../json.ts'
import { ourVersion, Version } from '../version.ts'
import { readConsumerConnection, readProducerConnections, writeConsumerConnection } from './connections.ts'
import { readConsumerOffsetTable, writeConsumerOffsetTable } from './consumer-offset-table.ts'
import { readHaStatus, writeHaStatus } from './ha-status.ts'
import { readHeartbeatData, writeHeartbeatData } from './heartbeat.ts'
import { readKvTable, readTopicList } from './lists.ts'
import { readLockBatch } from './lock-batch.ts'
import {
  peekDataVersion,
  type RegisteredTopic,
  readRegistration,
  registrationReader,
  writeRegisterBrokerBody,
} from './register-broker.ts'
import { readBrokerMemberGroup, readClusterInfo, readTopicRouteData, writeTopicRouteData } from './route.ts'
import { readConsumeStatsList, readTopicStatsTable, writeTopicStatsTable } from './stats.ts'
import { readSubscriptionGroupConfig, subscriptionGroupConfig } from './subscription-group.ts'
import { readTopicConfigTable, topicConfig, writeTopicConfigTable } from './topic-config.ts'

const bodyInvalid = expect.objectContaining({ code: 'BODY_INVALID' })
const dataVersion = { counter: 3, stateVersion: 0, timestamp: 1_700_000_000_000 }
const route = {
  orderTopicConf: undefined,
  queueDatas: [{ brokerName: 'b-0', readQueueNums: 4, writeQueueNums: 4, perm: 6, topicSysFlag: 0 }],
  brokerDatas: [
    {
      cluster: 'C',
      brokerName: 'b-0',
      brokerAddrs: new Map([[0, '10.0.0.1:10911']]),
      enableActingMaster: false,
      zoneName: undefined,
    },
  ],
  filterServerTable: new Map<string, string[]>(),
}

test('a route has quoted keys for new peers, unquoted for old ones, and reads the same', () => {
  const strict = writeTopicRouteData(route, true)
  const lenient = writeTopicRouteData(route, false)

  expect(strict).toBe(
    '{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911"},"brokerName":"b-0","cluster":"C","enableActingMaster":false}],' +
      '"filterServerTable":{},"queueDatas":[{"brokerName":"b-0","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}',
  )
  expect(lenient).toBe(strict.replace('"0":', '0:'))
  expect(readTopicRouteData(strict)).toEqual(route)
  expect(readTopicRouteData(lenient)).toEqual(route)
})

test.each(['{"brokerDatas":{}}', '{"brokerDatas":[1]}', '{"queueDatas":[{"brokerName":"b"}]}', '[]', 'null', ''])(
  '%j is no route',
  (json) => {
    expect(() => readTopicRouteData(json)).toThrow(bodyInvalid)
  },
)

test('a heartbeat of the C++ client: ordinals, a version as text, fields left out', () => {
  const body = Buffer.from(
    '{"clientID":"c@1","consumerDataSet":[{"consumeFromWhere":4,"consumeType":1,"groupName":"G","messageModel":1,' +
      '"subscriptionDataSet":[{"codeSet":["2598919"],"subString":"TagA","subVersion":"1795411641097","tagsSet":null,"topic":"T"}]}],"producerDataSet":null}',
  )

  expect(readHeartbeatData(body)).toEqual({
    clientID: 'c@1',
    producerDataSet: [],
    consumerDataSet: [
      {
        groupName: 'G',
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: 'CLUSTERING',
        consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
        subscriptionDataSet: [
          {
            topic: 'T',
            subString: 'TagA',
            tagsSet: [],
            codeSet: [2598919],
            subVersion: 1795411641097,
            expressionType: 'TAG',
            classFilterMode: false,
          },
        ],
        unitMode: false,
      },
    ],
    heartbeatFingerprint: 0,
    withoutSub: false,
  })
})

test('the nanoseconds of the Go client keep their digits', () => {
  const json =
    '{"clientID":"g","consumerDataSet":[{"consumeType":"CONSUME_PASSIVELY","groupName":"G","messageModel":"CLUSTERING",' +
    '"subscriptionDataSet":[{"topic":"T","subVersion":1795411641097123456}]}]}'

  const data = readHeartbeatData(Buffer.from(json))

  expect(data.consumerDataSet[0]?.subscriptionDataSet[0]?.subVersion).toBe(1795411641097123456n)
  expect(readHeartbeatData(Buffer.from(writeHeartbeatData(data)))).toEqual(data)
})

test('queues as keys', () => {
  const json =
    '{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"lastUpdateTimestamp":5,"maxOffset":9,"minOffset":2}},"topicPutTps":0.5}'

  const table = readTopicStatsTable(Buffer.from(json))

  expect([...table.offsetTable]).toEqual([
    [
      { topic: 'T', brokerName: 'b', queueId: 1 },
      { minOffset: 2, maxOffset: 9, lastUpdateTimestamp: 5 },
    ],
  ])
  expect(writeTopicStatsTable(table)).toBe(json)
})

test('names of built-in properties are names as others', () => {
  const topicConfigTable = new Map(['__proto__', 'constructor'].map((name) => [name, topicConfig(name)]))

  const read = readTopicConfigTable(readJson(writeTopicConfigTable({ dataVersion, topicConfigTable })))

  expect(read).toEqual({ dataVersion, topicConfigTable })
})

const form = { isCompressed: false, version: ourVersion }
const compressed = { isCompressed: true, version: Version.V5_0_0 - 1 }

test('a registration is read as it was written, in steps', () => {
  const anyTopic = fc.record({
    topicName: fc.oneof(fc.stringMatching(/^[%|a-zA-Z0-9_-]{1,20}$/), fc.string({ unit: 'binary', minLength: 1 })),
    readQueueNums: fc.nat(),
    writeQueueNums: fc.nat(),
    perm: fc.integer({ min: -9, max: 9 }),
    topicFilterType: fc.constantFrom('SINGLE_TAG', 'MULTI_TAG', '?'),
    topicSysFlag: fc.nat(3),
    order: fc.boolean(),
    attributes: fc.dictionary(fc.string(), fc.string({ unit: 'binary' }), { maxKeys: 2, noNullPrototype: true }),
  })
  const anyTopics = fc.uniqueArray(anyTopic, { selector: ({ topicName }) => topicName, maxLength: 20 })
  fc.assert(
    fc.property(anyTopics, fc.array(fc.string()), fc.nat(2), (topics, filterServerList, indent) => {
      const topicConfigTable = new Map(topics.map((topic) => [topic.topicName, topic]))
      const body = writeRegisterBrokerBody({
        topicConfigSerializeWrapper: { dataVersion, topicConfigTable },
        filterServerList,
      })
      const spaced = indent === 0 ? body : JSON.stringify(JSON.parse(body), undefined, indent)

      const read = readRegistration(Buffer.from(spaced), form)

      expect(read).toMatchObject({ dataVersion, filterServers: filterServerList })
      const isSame = (a: RegisteredTopic, b: RegisteredTopic) => (a.topicName < b.topicName ? -1 : 1)
      const routed = topics.map(({ topicFilterType, order, attributes, ...topic }) => topic)
      expect(read.topics.sort(isSame)).toMatchObject(routed.sort(isSame))
    }),
  )
})

test('ten thousand topics are read in many steps, as brokers write them', () => {
  const names = Array.from({ length: 10_000 }, (_, index) => `topic-${index}`)
  const topicConfigTable = new Map(names.map((name) => [name, topicConfig(name)]))
  const text = writeRegisterBrokerBody({
    topicConfigSerializeWrapper: { dataVersion, topicConfigTable },
    filterServerList: [],
  })
  const reader = registrationReader(Buffer.from(text), form)

  let steps = 0
  let step = reader.next()
  for (; !step.done; step = reader.next()) steps++

  expect(steps).toBeGreaterThan(20)
  expect(step.value.topics.map(({ topicName }) => topicName)).toEqual(names)
  expect(peekDataVersion(Buffer.from(text))).toEqual(dataVersion)
})

test('a cut or changed registration is read or refused', () => {
  const topicConfigTable = new Map(['T', 'U "ü"', 'V'].map((name) => [name, topicConfig(name)]))
  const text = writeRegisterBrokerBody({
    topicConfigSerializeWrapper: { dataVersion, topicConfigTable },
    filterServerList: ['f'],
  })
  const harm = fc.tuple(fc.nat(text.length - 1), fc.constantFrom('"', '{', '}', ',', '\\', 'x', ''))
  fc.assert(
    fc.property(harm, ([at, put]) => {
      if (at > 0) expect(() => readRegistration(Buffer.from(text.slice(0, at)), form)).toThrow(bodyInvalid)
      try {
        readRegistration(Buffer.from(text.slice(0, at) + put + text.slice(at + 1)), form)
      } catch (error) {
        expect(error).toMatchObject(bodyInvalid)
      }
    }),
    { numRuns: 300 },
  )
})

test('a registration without a body has no topics', () => {
  expect(readRegistration(Buffer.alloc(0), form)).toMatchObject({ topics: [], dataVersion: { counter: 0 } })
})

test('the version of a registration is peeked at where it stands as brokers write it', () => {
  expect(peekDataVersion(Buffer.from('{"dataVersion":{"counter":1}}'))).toBeUndefined()
  expect(peekDataVersion(deflateSync('x'))).toBeUndefined()
})

function lengthAndText(text: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(text))
  bytes.writeInt32BE(bytes.length - 4)
  bytes.write(text, 4)
  return bytes
}

test('a compressed registration is read, a broken one refused', () => {
  const count = Buffer.from([0, 0, 0, 2])
  const plain = Buffer.concat([
    lengthAndText(JSON.stringify(dataVersion)),
    count,
    lengthAndText('T 4 8 6 SINGLE_TAG {"message.type":"DELAY"}'),
    lengthAndText('U 1 1 6 SINGLE_TAG'),
    lengthAndText('[]'),
  ])

  expect(readRegistration(deflateSync(plain), compressed)).toEqual({
    dataVersion,
    topics: [
      { topicName: 'T', readQueueNums: 4, writeQueueNums: 8, perm: 6, topicSysFlag: 0 },
      { topicName: 'U', readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
    ],
    filterServers: [],
    mappings: new Map(),
  })
  expect(() => readRegistration(plain, compressed)).toThrow(bodyInvalid)
  for (let bytes = 0; bytes < plain.length; bytes++) {
    expect(() => readRegistration(deflateSync(plain.subarray(0, bytes)), compressed)).toThrow(bodyInvalid)
  }
})

test('a small body that inflates without end is refused', () => {
  expect(() => readRegistration(deflateSync(Buffer.alloc(65 * 1024 * 1024)), compressed)).toThrow(bodyInvalid)
})

test('a group has Apache’s defaults for what is left out', () => {
  expect(readSubscriptionGroupConfig({ groupName: 'G' })).toEqual(subscriptionGroupConfig('G'))
  expect(readSubscriptionGroupConfig({ retryMaxTimes: 3 }, 'G')).toEqual(
    subscriptionGroupConfig('G', { retryMaxTimes: 3 }),
  )
})

test('offsets have integer keys', () => {
  const json =
    '{"dataVersion":{"counter":3,"stateVersion":0,"timestamp":1700000000000},"offsetTable":{"T@G":{0:2,1:5}}}'

  const table = readConsumerOffsetTable(readJson(json))

  expect(table.offsetTable).toEqual(
    new Map([
      [
        'T@G',
        new Map([
          [0, 2],
          [1, 5],
        ]),
      ],
    ]),
  )
  expect(writeConsumerOffsetTable(table)).toBe(json)
})

test('connections', () => {
  const json =
    '{"connectionSet":[{"clientAddr":"1.2.3.4:555","clientId":"c","language":"JAVA","version":479}],"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET",' +
    '"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{}}'

  expect(writeConsumerConnection(readConsumerConnection(Buffer.from(json)))).toBe(json)
  expect(readProducerConnections(Buffer.from(json))).toEqual([
    { clientAddr: '1.2.3.4:555', clientId: 'c', language: 'JAVA', version: 479 },
  ])
})

test.each<[string, (body: Buffer) => unknown, string]>([
  ['topic list', readTopicList, '{"topicList":[1]}'],
  ['KV table', readKvTable, '{"table":{"a":1}}'],
  ['lock', readLockBatch, '{"clientId":"c","consumerGroup":"G","mqSet":[{"topic":"T","brokerName":"b"}]}'],
  ['heartbeat', readHeartbeatData, '{"clientID":"c","consumerDataSet":[{"groupName":"G","consumeType":9}]}'],
  ['heartbeat without client', readHeartbeatData, '{}'],
  ['cluster', readClusterInfo, '{"brokerAddrTable":{"b":{"brokerName":"b","brokerAddrs":{"x":"a"}}}}'],
  ['members', readBrokerMemberGroup, '{"brokerMemberGroup":[]}'],
  ['statistics', readConsumeStatsList, '{"consumeStatsList":[{"G":{}}]}'],
])('a wrong %s is refused', (_, read, json) => {
  expect(() => read(Buffer.from(json))).toThrow(bodyInvalid)
})

test("the HA status of Apache's master and slave, as they answer it, and of ours", () => {
  const master =
    '{"haClientRuntimeInfo":{"lastReadTimestamp":0,"lastWriteTimestamp":0,"masterFlushOffset":0,"maxOffset":0,"transferredByteInSecond":0},' +
    '"haConnectionInfo":[{"addr":"127.0.0.1:34296","diff":2,"inSync":true,"slaveAckOffset":5,"transferFromWhere":7,"transferredByteInSecond":3}],' +
    '"inSyncSlaveNums":1,"master":true,"masterCommitLogMaxOffset":7}'
  const slave =
    '{"haClientRuntimeInfo":{"lastReadTimestamp":1795712691927,"lastWriteTimestamp":1795712691879,"masterAddr":"127.0.0.1:41912",' +
    '"masterFlushOffset":0,"maxOffset":6,"transferredByteInSecond":0},"haConnectionInfo":[],"inSyncSlaveNums":0,"master":false,"masterCommitLogMaxOffset":0}'
  const following = {
    masterAddr: '127.0.0.1:41912',
    transferredByteInSecond: 0,
    maxOffset: 6,
    lastReadTimestamp: 1_795_712_691_927,
    lastWriteTimestamp: 1_795_712_691_879,
    masterFlushOffset: 0,
  }

  expect(readHaStatus(master)).toEqual({
    master: true,
    masterCommitLogMaxOffset: 7,
    inSyncSlaveNums: 1,
    haConnectionInfo: [
      {
        addr: '127.0.0.1:34296',
        slaveAckOffset: 5,
        diff: 2,
        inSync: true,
        transferredByteInSecond: 3,
        transferFromWhere: 7,
      },
    ],
    haClientRuntimeInfo: undefined,
  })
  expect(readHaStatus(slave)).toMatchObject({ master: false, haClientRuntimeInfo: { ...following, activated: false } })
  const ours = { ...readHaStatus(slave), haClientRuntimeInfo: { ...following, activated: true } }
  expect(readHaStatus(writeHaStatus(ours))).toEqual(ours)
})
