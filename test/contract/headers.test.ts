import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isOperatingError } from '../../src/base/errors.ts'
import { RequestCode } from '../../src/remoting/codes.ts'
import type { Command } from '../../src/remoting/command.ts'
import { encodeCommand, encodeRocketmqCommand, FrameDecoder } from '../../src/remoting/frame.ts'
import type { Field, HeaderCodec } from '../../src/remoting/header.ts'
import { heartbeatResponse } from '../../src/remoting/headers/client-registration.ts'
import { apacheHeaders, type HeaderVector, readHeaderVectors } from './headers.ts'
import { readVectors } from './vectors.ts'

// biome-ignore lint/suspicious/noExplicitAny: a header of any table
type AnyCodec = HeaderCodec<any>
// biome-ignore lint/suspicious/noExplicitAny: a field of any type and kind
type AnyField = Field<any, any>

const folder = join(import.meta.dirname, '../../src/remoting/headers')
const modules = await Promise.all(
  readdirSync(folder)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => import(join(folder, file)) as Promise<Record<string, AnyCodec>>),
)
const codecs = modules
  .flatMap((module) => Object.entries(module))
  .filter(([, codec]) => typeof codec === 'object') // besides codecs, a header is read by a function of its own
  .sort(([a], [b]) => (a < b ? -1 : 1))
const vectors = new Map(readHeaderVectors().map((vector) => [vector.header, vector]))
const pairs = codecs.flatMap(([key, codec]) =>
  (apacheHeaders[key] ?? []).map((header) => [`${key} and ${header}`, codec, header] as const),
)

test('every codec has its classes of Apache, and every class its frames', () => {
  expect(Object.keys(apacheHeaders).sort()).toEqual(codecs.map(([key]) => key))
  const without = Object.values(apacheHeaders)
    .flat()
    .filter((header) => !vectors.has(header))
  expect(without).toEqual([]) // node test/contract/record-headers.ts CLASSPATH
})

test('a codec without a class reads what a broker of Apache sent', () => {
  expect(Object.keys(apacheHeaders).filter((key) => apacheHeaders[key]!.length === 0)).toEqual(['heartbeatResponse'])

  const answers = readVectors().filter(({ code, answer }) => code === RequestCode.HEART_BEAT && answer === 0)
  const read = answers.map(({ frame }) => heartbeatResponse.decode(decode(Buffer.from(frame, 'hex'))[0]!.extFields))
  expect(read).toContainEqual({ isHeartbeatV2Supported: true, isSubscriptionChanged: expect.any(Boolean) })
})

/** Fields of the classes above a header's own: for proxies, namespaces of proxies, and logical queues. */
const inherited = ['ns', 'nsd', 'bname', 'oway', 'lo']
/** Fields of one class that mean nothing here: there is no controller, no proxy before us, no static and no lite topic. */
const leftOut: Readonly<Record<string, readonly string[]>> = {
  'namesrv.BrokerHeartbeatRequestHeader': [
    'confirmOffset',
    'electionPriority',
    'epoch',
    'heartbeatTimeoutMills',
    'maxOffset',
  ],
  CreateTopicRequestHeader: ['force'],
  PullMessageRequestHeader: ['liteTopic', 'proxyFrowardClientId', 'requestSource'],
  SearchOffsetRequestHeader: ['liteTopic'],
}
/** Fields that Apache puts beside a header, by hand. */
const besides: Readonly<Record<string, readonly string[]>> = {
  QueryMessageRequestHeader: ['_UNIQUE_KEY_QUERY'],
  SendMessageResponseHeader: ['MSG_REGION', 'TRACE_ON'],
}
/** What Apache's processors make of an absent field whose class has no default: where they say so. */
const nullMeans: Readonly<Record<string, string>> = {
  'namesrv.GetRouteInfoRequestHeader.acceptStandardJsonOnly': 'false',
  'CreateTopicRequestHeader.topicSysFlag': '0',
  'PullMessageRequestHeader.expressionType': 'TAG',
  'QueryConsumerOffsetRequestHeader.setZeroIfNotFound': 'true',
  'QueryCorrectionOffsetHeader.filterGroups': '',
  'SearchOffsetRequestHeader.boundaryType': 'lower',
  'SendMessageRequestHeader.batch': 'false',
  'SendMessageRequestHeader.reconsumeTimes': '0',
  'SendMessageRequestHeader.unitMode': 'false',
  'SendMessageRequestHeaderV2.j': '0',
  'SendMessageRequestHeaderV2.k': 'false',
  'SendMessageRequestHeaderV2.m': 'false',
}

const typeOf: Readonly<Record<string, readonly string[]>> = {
  String: ['text'],
  int: ['int32'],
  Integer: ['int32'],
  long: ['int64', 'wideInt64'],
  Long: ['int64', 'wideInt64'],
  boolean: ['bool'],
  Boolean: ['bool'],
  BoundaryType: ['text'],
}

test.each(pairs)('%s have the same fields', (_, codec, header) => {
  const { fields } = vectors.get(header)!
  const ours = new Map(Object.entries(codec.fields as Record<string, AnyField>).map(([k, f]) => [f.wireName ?? k, f]))
  const left = [...(leftOut[header] ?? []), ...inherited]
  const wireNames = fields.map(({ name }) => name).filter((name) => ours.has(name) || !left.includes(name))
  const declared = [...ours.keys()].filter((name) => !besides[header]?.includes(name))

  expect(declared.sort()).toEqual(wireNames.sort())
  for (const { name, type, required, value } of fields) {
    const field = ours.get(name)
    if (field === undefined) continue
    expect([name, typeOf[type]]).toEqual([name, expect.arrayContaining([field.type])])
    const meant = value ?? nullMeans[`${header}.${name}`]
    // A Java primitive that is required has its zero where a peer leaves it out: Apache only logs what is missing.
    const kind =
      required && meant !== String(field.fallback) ? 'required' : meant === undefined ? 'optional' : 'default'
    expect([name, field.kind, String(field.fallback)]).toEqual([name, kind, kind === 'default' ? meant : 'undefined'])
  }
})

const frames = ['json', 'jsonLeast', 'rocketmq', 'rocketmqLeast'] as const

test.each(pairs)('%s: what Apache wrote is read, and written byte for byte', (_, codec, header) => {
  const vector = vectors.get(header)!
  for (const key of frames) {
    const frame = Buffer.from(vector[key], 'hex')
    const [command] = decode(frame)
    expect([key, encodeAs(key, command!).toString()]).toEqual([key, frame.toString()])

    const ours = codec.encode(codec.decode(command!.extFields))
    const own = ownFields(vector, codec, command!.extFields)
    expect(ours).toMatchObject(own)
    for (const name of besides[header] ?? []) delete ours[name]
    if (!key.endsWith('Least')) expect(ours).toEqual(own) // else ours has the defaults too
    expect(codec.decode(ours)).toEqual(codec.decode(own))
  }
})

/** extFields without those that the codec leaves out. */
function ownFields({ header }: HeaderVector, codec: AnyCodec, extFields: Record<string, string>) {
  const ours = Object.entries(codec.fields as Record<string, AnyField>).map(([key, field]) => field.wireName ?? key)
  const left = [...inherited, ...(leftOut[header] ?? [])].filter((name) => !ours.includes(name))
  return Object.fromEntries(Object.entries(extFields).filter(([name]) => !left.includes(name)))
}

function encodeAs(key: (typeof frames)[number], command: Command): Buffer {
  return key.startsWith('json') ? encodeCommand(command) : encodeRocketmqCommand(command)
}

function decode(frame: Buffer): Command[] {
  const commands: Command[] = []
  new FrameDecoder().push(frame, (command) => commands.push(command))
  return commands
}

const anyText = fc.string({ unit: 'binary', maxLength: 30 })
const valuesOf: Record<AnyField['type'], fc.Arbitrary<unknown>> = {
  text: anyText,
  int32: fc.integer(),
  int64: fc.maxSafeInteger(),
  wideInt64: fc.oneof(
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
  ),
  bool: fc.boolean(),
}

/** Any header of a table: what may be absent is absent now and then. */
function anyHeader(codec: AnyCodec): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(codec.fields as Record<string, AnyField>)
  return fc.record(Object.fromEntries(fields.map(([key, { type }]) => [key, valuesOf[type]])), {
    requiredKeys: fields.filter(([, { kind }]) => kind === 'required').map(([key]) => key),
    noNullPrototype: true,
  })
}

const encoders = fc.constantFrom(encodeCommand, encodeRocketmqCommand)

function commandWith(extFields: Record<string, string>): Command {
  const head = { code: 10, language: 'JAVA', version: 513, opaque: 1, flag: 0, remark: undefined }
  return { ...head, extFields, body: Buffer.from('body') }
}

test.each(codecs)('%s: any header comes back as it was, in both serialisations', (_, codec) => {
  fc.assert(
    fc.property(anyHeader(codec), encoders, (header, encode) => {
      const [command] = decode(encode(commandWith(codec.encode(header))))

      const defaults = Object.entries(codec.fields as Record<string, AnyField>).map(([k, f]) => [k, f.fallback])
      expect(codec.decode(command!.extFields)).toEqual({ ...Object.fromEntries(defaults), ...header })
    }),
    { numRuns: 50 },
  )
})

test.each(codecs)('%s: a frame that was cut or changed is read, refused or waited for', (_, codec) => {
  const harm = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }), isCut: fc.boolean() })
  fc.assert(
    fc.property(anyHeader(codec), encoders, harm, (header, encode, { at, byte, isCut }) => {
      const frame = encode(commandWith(codec.encode(header)))
      if (!isCut) frame[at % frame.length] = byte
      try {
        for (const command of decode(isCut ? frame.subarray(0, at % frame.length) : frame)) {
          expect(isCut).toBe(false)
          codec.decode(command.extFields)
        }
      } catch (error) {
        const code = isOperatingError(error) ? error.code : String(error)
        expect(['FRAME_INVALID', 'FRAME_TOO_LARGE', 'HEADER_INVALID']).toContain(code)
      }
    }),
    { numRuns: 50 },
  )
})
