import { inflateSync } from 'node:zlib'
import { OperatingError } from '../../base/errors.ts'
import { readJson, writeJson } from '../json.ts'
import { Version } from '../version.ts'
import { type DataVersion, readDataVersion } from './data-version.ts'
import { Fields } from './fields.ts'
import { readTopicConfig, type TopicConfig, type TopicConfigTable, withMappings } from './topic-config.ts'
import { readTopicQueueMappingInfo, type TopicQueueMappingInfo } from './topic-queue-mapping.ts'

/** Body of REGISTER_BROKER: all topics of the broker, or the changed ones. Source: Apache RocketMQ 5, RegisterBrokerBody. */
export interface RegisterBrokerBody {
  topicConfigSerializeWrapper: TopicConfigTable
  filterServerList: string[]
}

export function writeRegisterBrokerBody({ topicConfigSerializeWrapper, filterServerList }: RegisterBrokerBody): string {
  return writeJson({ filterServerList, topicConfigSerializeWrapper: withMappings(topicConfigSerializeWrapper) })
}

/** A topic as far as routes need it. */
export type RegisteredTopic = Pick<
  TopicConfig,
  'topicName' | 'readQueueNums' | 'writeQueueNums' | 'perm' | 'topicSysFlag'
>

/** What a NameServer reads in that body. */
export interface RegistrationBody {
  dataVersion: DataVersion
  topics: RegisteredTopic[]
  filterServers: string[]
  /** Of static topics, by topic. */
  mappings: ReadonlyMap<string, TopicQueueMappingInfo>
}

export interface RegistrationForm {
  isCompressed: boolean
  version: number // the broker's
}

/**
 * Reads the body of REGISTER_BROKER. Ten thousand topics take milliseconds: each step reads some of them, so that others
 * can be served in between.
 * @throws OperatingError BODY_INVALID
 */
export function* registrationReader(
  body: Buffer,
  { isCompressed, version }: RegistrationForm,
): Generator<void, RegistrationBody> {
  if (body.length === 0) return nothing
  if (isCompressed) return yield* compressedReader(body, version)
  const text = body.toString('utf8') // of a megabyte this, and the search, take as long as a step
  yield
  const table = findTopicTable(text)
  yield
  const topics: RegisteredTopic[] = []
  let rest = text
  if (table !== undefined) {
    const end = yield* topicTableReader(text, table, topics)
    rest = text.slice(0, table) + text.slice(end) // which leaves an empty table
  }
  const fields = Fields.of('RegisterBrokerBody', rest)
  const isWrapped = version >= Version.V3_0_11 // before, the topics were the whole body
  const wrapper = isWrapped ? fields.fields('topicConfigSerializeWrapper') : fields
  const unread = wrapper.fields('topicConfigTable').entries()
  if (table !== undefined && unread.length > 0) throw invalid('topicConfigTable')
  for (const [name, value] of unread) topics.push(readTopicConfig(value, name))
  return {
    dataVersion: readDataVersion(wrapper.fields('dataVersion').value),
    topics,
    filterServers: isWrapped ? fields.texts('filterServerList') : [],
    mappings: wrapper.table('topicQueueMappingInfoMap', readTopicQueueMappingInfo),
  }
}

/** All at once. @throws OperatingError BODY_INVALID */
export function readRegistration(body: Buffer, form: RegistrationForm): RegistrationBody {
  const reader = registrationReader(body, form)
  for (;;) {
    const step = reader.next()
    if (step.done) return step.value
  }
}

const nothing: RegistrationBody = {
  dataVersion: { counter: 0, stateVersion: 0, timestamp: 0 },
  topics: [],
  filterServers: [],
  mappings: new Map(),
}

const versionHead = /"dataVersion":\{"counter":(\d{1,15}),"stateVersion":(\d{1,15}),"timestamp":(\d{1,15})\}/
const versionBytesMax = 4096

/**
 * The version that a registration says it has, from its first bytes alone.
 * @returns undefined: it does not stand where brokers write it, or the body is compressed
 */
export function peekDataVersion(body: Buffer): DataVersion | undefined {
  const found = versionHead.exec(body.toString('latin1', 0, versionBytesMax))
  if (found === null) return undefined
  return { counter: Number(found[1]), stateVersion: Number(found[2]), timestamp: Number(found[3]) }
}

const tableMark = '"topicConfigTable":{'
const stepTopics = 200 // about a tenth of a millisecond

/** @returns the position of the table's first entry; undefined where it cannot be told without reading all of it */
function findTopicTable(text: string): number | undefined {
  const at = text.indexOf(tableMark) // the quotes cannot stand within a string without a backslash before the second
  if (at === -1 || text.indexOf(tableMark, at + 1) !== -1) return undefined
  return at + tableMark.length
}

/** An entry of the table as Apache's brokers and ours write it: keys sorted, names without escapes, no spaces. */
const usualEntry =
  /"[^"\\]+":\{(?:"attributes":\{(?:"[^"\\]*":"[^"\\]*",?)*\},)?"order":(?:true|false),"perm":(\d{1,9}),"readQueueNums":(\d{1,9}),"topicFilterType":"[A-Z_]+","topicName":"([^"\\]+)","topicSysFlag":(\d{1,9}),"writeQueueNums":(\d{1,9})\}/y

/** @returns the position of the brace that ends the table */
function* topicTableReader(text: string, start: number, topics: RegisteredTopic[]): Generator<void, number> {
  let at = start
  while (text.charCodeAt(at) <= 0x20) at++
  if (text[at] === '}') return at
  for (let count = 1; ; count++) {
    usualEntry.lastIndex = at
    const usual = usualEntry.exec(text)
    if (usual !== null) {
      at = usualEntry.lastIndex
      topics.push({
        topicName: usual[3]!,
        readQueueNums: Number(usual[2]),
        writeQueueNums: Number(usual[5]),
        perm: Number(usual[1]),
        topicSysFlag: Number(usual[4]),
      })
    } else {
      const end = endOfEntry(text, at)
      for (const [name, value] of Fields.of('topicConfigTable', `{${text.slice(at, end)}}`).entries())
        topics.push(readTopicConfig(value, name))
      at = end
    }
    while (text.charCodeAt(at) <= 0x20) at++
    if (text[at] === '}') return at
    if (text[at] !== ',') throw invalid('topicConfigTable')
    at++
    if (count % stepTopics === 0) yield
  }
}

/** Where an entry ends: at the comma or brace that is in no string and in no nested value. */
function endOfEntry(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '"') {
      at = endOfString(text, at)
      if (at === -1) break
    } else if (character === '{' || character === '[') depth++
    else if (depth === 0 && (character === ',' || character === '}')) return at
    else if (character === '}' || character === ']') depth--
  }
  throw invalid('topicConfigTable')
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return -1
}

/** Limits what a small compressed body can become: about 500,000 topics. */
const inflatedBytesMax = 64 * 1024 * 1024

/**
 * zlib over: int32 length + DataVersion as JSON; int32 count, then each topic as int32 length + text; int32 length +
 * filter servers as JSON; from V5_0_0 on int32 count, then each mapping of a static topic as int32 length + JSON.
 */
function* compressedReader(body: Buffer, version: number): Generator<void, RegistrationBody> {
  let bytes: Buffer
  try {
    bytes = inflateSync(body, { maxOutputLength: inflatedBytesMax })
  } catch (cause) {
    throw new OperatingError('BODY_INVALID', { what: 'RegisterBrokerBody' }, cause)
  }
  let at = 0
  const next = (length: number) => {
    if (length < 0 || length > bytes.length - at) throw invalid('itself')
    at += length
    return bytes.subarray(at - length, at)
  }
  const int32 = () => next(4).readInt32BE(0)
  const text = () => next(int32()).toString('utf8')

  const dataVersion = readDataVersion(readJson(text()))
  const topics: RegisteredTopic[] = []
  for (let left = int32(); left > 0; left--) {
    topics.push(readTopicText(text()))
    if (left % stepTopics === 0) yield
  }
  const lists = new Fields('RegisterBrokerBody', { filterServerList: readJson(text()) })
  const mappings = new Map<string, TopicQueueMappingInfo>()
  for (let left = version >= Version.V5_0_0 ? int32() : 0; left > 0; left--) {
    const mapping = readTopicQueueMappingInfo(readJson(text()))
    mappings.set(mapping.topic, mapping)
  }
  return { dataVersion, topics, filterServers: lists.texts('filterServerList'), mappings }
}

/**
 * `name readQueueNums writeQueueNums perm SINGLE_TAG {attributes}`; a name with spaces takes them all.
 * Source: Apache RocketMQ 5, TopicConfig#encode.
 */
function readTopicText(line: string): RegisteredTopic {
  const found = /^(.+?) (\d{1,9}) (\d{1,9}) (\d{1,9}) [A-Z_]+(?: |$)/s.exec(line)
  if (found === null) throw invalid('TopicConfig')
  return {
    topicName: found[1]!,
    readQueueNums: Number(found[2]),
    writeQueueNums: Number(found[3]),
    perm: Number(found[4]),
    topicSysFlag: 0,
  }
}

function invalid(field: string): OperatingError {
  return new OperatingError('BODY_INVALID', { what: 'RegisterBrokerBody', field })
}
