import { inflateSync } from 'node:zlib'
import { OperatingError } from '../../base/errors.ts'
import { readJson, writeJson } from '../json.ts'
import { readDataVersion } from './data-version.ts'
import { Fields, textItem } from './fields.ts'
import { readTopicConfigTable, type TopicConfig, type TopicConfigTable, withMappings } from './topic-config.ts'

/** Body of REGISTER_BROKER: all topics of the broker, or the changed ones. Source: Apache RocketMQ 5, RegisterBrokerBody. */
export interface RegisterBrokerBody {
  topicConfigSerializeWrapper: TopicConfigTable
  filterServerList: string[]
}

/** @throws OperatingError BODY_INVALID */
export function readRegisterBrokerBody(body: Buffer, isCompressed: boolean): RegisterBrokerBody {
  if (isCompressed) return readCompressed(body)
  const fields = Fields.of('RegisterBrokerBody', body)
  return {
    topicConfigSerializeWrapper: readTopicConfigTable(fields.fields('topicConfigSerializeWrapper').value),
    filterServerList: fields.texts('filterServerList'),
  }
}

export function writeRegisterBrokerBody({ topicConfigSerializeWrapper, filterServerList }: RegisterBrokerBody): string {
  return writeJson({ filterServerList, topicConfigSerializeWrapper: withMappings(topicConfigSerializeWrapper) })
}

/** Limits what a small compressed body can become: about 500,000 topics. */
const inflatedBytesMax = 64 * 1024 * 1024

/**
 * zlib over: int32 length + DataVersion as JSON; int32 count, then each topic as int32 length + text; int32 length +
 * filter servers as JSON. The mappings of static topics that may follow are not read.
 */
function readCompressed(body: Buffer): RegisterBrokerBody {
  let bytes: Buffer
  try {
    bytes = inflateSync(body, { maxOutputLength: inflatedBytesMax })
  } catch (cause) {
    throw new OperatingError('BODY_INVALID', { what: 'RegisterBrokerBody' }, cause)
  }
  let at = 0
  const next = (length: number) => {
    if (length < 0 || length > bytes.length - at)
      throw new OperatingError('BODY_INVALID', { what: 'RegisterBrokerBody', at })
    at += length
    return bytes.subarray(at - length, at)
  }
  const int32 = () => next(4).readInt32BE(0)
  const text = () => next(int32()).toString('utf8')

  const dataVersion = readDataVersion(readJson(text()))
  const topicConfigTable = new Map<string, TopicConfig>()
  for (let left = int32(); left > 0; left--) {
    const topic = readTopicText(text())
    topicConfigTable.set(topic.topicName, topic)
  }
  const filterServers = text()
  return {
    topicConfigSerializeWrapper: { dataVersion, topicConfigTable },
    filterServerList: new Fields('RegisterBrokerBody', { filterServerList: readJson(filterServers) }).texts(
      'filterServerList',
    ),
  }
}

/** `name readQueueNums writeQueueNums perm SINGLE_TAG {attributes}`. Source: Apache RocketMQ 5, TopicConfig#encode. */
function readTopicText(line: string): TopicConfig {
  const [topicName = '', readQueueNums, writeQueueNums, perm, topicFilterType = '', ...attributes] = line.split(' ')
  const counts = [readQueueNums, writeQueueNums, perm].map(Number)
  if (topicName === '' || !counts.every(Number.isInteger))
    throw new OperatingError('BODY_INVALID', { what: 'TopicConfig' })
  const fields = new Fields('TopicConfig', { attributes: readJson(attributes.join(' ') || '{}') })
  return {
    topicName,
    readQueueNums: counts[0]!,
    writeQueueNums: counts[1]!,
    perm: counts[2]!,
    topicFilterType,
    topicSysFlag: 0,
    order: false,
    attributes: Object.fromEntries(fields.table('attributes', textItem('TopicConfig.attributes'))),
  }
}
