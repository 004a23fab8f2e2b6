import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ManualClock } from '../../base/testing/clock.ts'
import {
  appendProperty,
  decodeHost,
  decodeMessage,
  decodeMessages,
  encodeHost,
  encodeRecord,
  formatProperties,
  isBodyIntact,
  layoutOf,
  offsetMsgIdOf,
  parseOffsetMsgId,
  parseProperties,
  type RecordFields,
  readInt64,
  readProperty,
  recordBytesLimit,
  tagsCodeOf,
  uniqKeys,
  writeInt64,
} from './index.ts'

const ipv4 = encodeHost({ host: '10.0.0.1', port: 10911 })
const ipv6 = encodeHost({ host: '2001:db8::1', port: 10911 })

function fields(given: Partial<RecordFields> = {}): RecordFields {
  return {
    queueId: 3,
    flag: 7,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    bornHost: ipv4,
    storeHost: ipv4,
    reconsumeTimes: 2,
    preparedTransactionOffset: 99,
    body: Buffer.from('123456789'),
    properties: 'TAGS\u0001TagA\u0002',
    ...given,
  }
}

function encode(given: RecordFields, topic = 'orders', queueOffset = 5, phyOffset = 4096): Buffer {
  const topicBytes = Buffer.from(topic)
  const into = Buffer.alloc(recordBytesLimit(given, topicBytes.length))
  return into.subarray(0, encodeRecord(into, 0, given, topicBytes, queueOffset, phyOffset, 1_700_000_000_001))
}

test('a record lies as Apache lays it', () => {
  const record = encode(fields())

  expect(record.length).toBe(91 + 9 + 6 + 10)
  expect(record.subarray(0, 12).toString('hex')).toBe('00000074daa320a74bf43926') // size, magic V1, CRC
  expect(record.readInt32BE(48 + 4)).toBe(10911) // the port is an int32
  expect(decodeMessage(record, 0)).toEqual({
    topic: 'orders',
    queueId: 3,
    flag: 7,
    queueOffset: 5,
    phyOffset: 4096,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    bornHost: { host: '10.0.0.1', port: 10911 },
    storeTimestamp: 1_700_000_000_001,
    storeHost: { host: '10.0.0.1', port: 10911 },
    reconsumeTimes: 2,
    preparedTransactionOffset: 99,
    body: Buffer.from('123456789'),
    properties: new Map([['TAGS', 'TagA']]),
    size: record.length,
    bodyCrc: 0x4bf43926,
  })
})

test('a topic above 127 bytes makes a V2 record, each IPv6 host twelve bytes more', () => {
  const topic = `%RETRY%${'g'.repeat(150)}`
  const v2 = encode(fields(), topic)
  const both = encode(fields({ sysFlag: 0x30, bornHost: ipv6, storeHost: ipv6 }))

  expect(v2.readInt32BE(4)).toBe(-626843477)
  expect(v2.length).toBe(92 + 9 + topic.length + 10)
  expect(decodeMessage(v2, 0).topic).toBe(topic)
  expect(both.length).toBe(91 + 24 + 9 + 6 + 10)
  expect(decodeMessage(both, 0)).toMatchObject({ bornHost: { host: '2001:db8:0:0:0:0:0:1' }, topic: 'orders' })
})

test('a property text above 32767 bytes makes no record', () => {
  const given = fields({ properties: 'é'.repeat(16_384) })
  const into = Buffer.alloc(recordBytesLimit(given, 1))

  expect(encodeRecord(into, 0, given, Buffer.from('t'), 0, 0, 0)).toBe(-1)
})

test('what is no whole record is told from one', () => {
  const record = encode(fields())

  for (let length = 0; length < record.length; length++) expect(layoutOf(record.subarray(0, length), 0)).toBeUndefined()
  for (const [position, value] of [
    [0, 90],
    [4, 1],
    [84, -1],
    [84, 10],
  ] as const) {
    const bent = Buffer.from(record)
    bent.writeInt32BE(value, position)
    expect(layoutOf(bent, 0)).toBeUndefined()
  }
  expect(() => decodeMessages(record.subarray(1))).toThrow('BODY_INVALID')
  const changed = Buffer.from(record)
  changed[88] = 0
  expect(isBodyIntact(record, 0, layoutOf(record, 0)!)).toBe(true)
  expect(isBodyIntact(changed, 0, layoutOf(changed, 0)!)).toBe(false)
})

test('every record comes back as it was written', () => {
  fc.assert(
    fc.property(
      fc.record({
        queueId: fc.nat(),
        flag: fc.integer(),
        body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        bornTimestamp: fc.maxSafeNat(),
        topic: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
        names: fc.dictionary(fc.stringMatching(/^\w+$/), fc.stringMatching(/^\w*$/), { maxKeys: 5 }),
      }),
      ({ topic, names, ...rest }) => {
        const record = encode(fields({ ...rest, properties: formatProperties(Object.entries(names)) }), topic)
        const [message, ...others] = decodeMessages(Buffer.concat([record, record]))
        expect(others.length).toBe(1)
        expect(message).toMatchObject({ ...rest, topic })
        expect(Object.fromEntries(message!.properties)).toEqual({ ...names })
      },
    ),
    { numRuns: 50 },
  )
})

test('int64 as two halves', () => {
  const buffer = Buffer.alloc(8)
  for (const value of [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    writeInt64(buffer, value, 0)
    expect(buffer.readBigInt64BE(0)).toBe(BigInt(value))
    expect(readInt64(buffer, 0)).toBe(value)
  }
})

test('tags are hashed as Java hashes strings, with their sign', () => {
  expect(tagsCodeOf('TagA')).toBe(2_598_919)
  expect(tagsCodeOf('TagBig')).toBe(-1_797_401_818)
  expect(tagsCodeOf(undefined)).toBe(0)
  const unit = Buffer.alloc(8)
  writeInt64(unit, tagsCodeOf('TagBig'), 0)
  expect(unit.toString('hex')).toBe('ffffffff94ddd326')
})

test('one property is found as taking all apart finds it', () => {
  const texts = [
    'KEYS\u0001a b\u0002TAGS\u0001TagA\u0002',
    'TAGS\u0001first\u0002KEYS\u0001k\u0002TAGS\u0001last', // twice, and no end mark
    'XTAGS\u0001no\u0002TAGSX\u0001no\u0002',
    'TAGS\u0001good\u0002TAGS\u0001two\u0001marks\u0002A\u0001TAGS\u0001no\u0002KEYS\u0001',
    'TAGS\u0002KEYS\u0001k\u0002',
    'TAGS\u0001\u0002',
    '',
  ]
  for (const text of texts) {
    for (const name of ['TAGS', 'KEYS']) expect(readProperty(text, name)).toBe(parseProperties(text).get(name))
  }
  expect(readProperty(texts[1]!, 'TAGS')).toBe('last')
  expect(appendProperty('A\u00011', 'B', '2')).toBe('A\u00011\u0002B\u00012\u0002')
})

test('hosts of every form', () => {
  for (const [host, text] of [
    ['192.168.7.9', '192.168.7.9'],
    ['::ffff:192.168.7.9', '192.168.7.9'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ] as const) {
    const bytes = encodeHost({ host, port: 80 })
    expect(decodeHost(bytes, 0, bytes.length === 20)).toEqual({ host: text, port: 80 })
  }
  for (const host of ['broker-0.svc', '1.2.3', '256.1.1.1', '1::2::3', ':::', '1:2']) {
    expect(() => encodeHost({ host, port: 80 })).toThrow('SETTING_INVALID')
  }
})

test('message ids', () => {
  const id = offsetMsgIdOf(ipv4, 0x1234_5678_9a)
  expect(id).toBe('0A00000100002A9F000000123456789A')
  expect(parseOffsetMsgId(id)).toEqual({ storeHost: { host: '10.0.0.1', port: 10911 }, phyOffset: 0x1234_5678_9a })
  expect(offsetMsgIdOf(ipv6, 1).length).toBe(56)
  expect(() => parseOffsetMsgId('xyz')).toThrow('HEADER_INVALID')

  const next = uniqKeys('10.0.0.1', 4711, new ManualClock(Date.UTC(2024, 1, 1) + 258), {
    bytes: () => Buffer.alloc(4),
  } as never)
  expect(next()).toBe('0A000001' + '1267' + '00000000' + '00000102' + '0001')
  expect(next()).toMatch(/0002$/)
})
