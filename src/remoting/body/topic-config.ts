import { JsonText, writeJson } from '../json.ts'
import { type DataVersion, readDataVersion } from './data-version.ts'
import { Fields, textItem } from './fields.ts'

/** A topic as a broker keeps it. Source: Apache RocketMQ 5, TopicConfig. */
export interface TopicConfig {
  topicName: string
  readQueueNums: number
  writeQueueNums: number
  perm: number // bits of Perm
  topicFilterType: string
  topicSysFlag: number // 1: unit, 2: has unit subscribers
  order: boolean
  attributes: Record<string, string>
}

export function topicConfig(topicName: string, given: Partial<Omit<TopicConfig, 'topicName'>> = {}): TopicConfig {
  return {
    topicName,
    readQueueNums: 16,
    writeQueueNums: 16,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    attributes: {},
    ...given,
  }
}

/** @param value parsed JSON; absent fields have Apache's defaults */
export function readTopicConfig(value: unknown, name?: string): TopicConfig {
  const fields = new Fields('TopicConfig', value)
  return {
    topicName: fields.text('topicName', name),
    readQueueNums: fields.integer('readQueueNums', 16),
    writeQueueNums: fields.integer('writeQueueNums', 16),
    perm: fields.integer('perm', 6),
    topicFilterType: fields.text('topicFilterType', 'SINGLE_TAG'),
    topicSysFlag: fields.integer('topicSysFlag', 0),
    order: fields.bool('order', false),
    attributes: Object.fromEntries(fields.table('attributes', textItem('TopicConfig.attributes'))),
  }
}

/** Body of UPDATE_AND_CREATE_TOPIC_LIST; their attributes are changes. Source: Apache RocketMQ 5, CreateTopicListRequestBody. */
export function readTopicConfigList(body: Buffer): TopicConfig[] {
  return Fields.of('CreateTopicListRequestBody', body).list('topicConfigList', (value) => readTopicConfig(value))
}

export function writeTopicConfigList(topicConfigList: readonly TopicConfig[]): string {
  return writeJson({ topicConfigList })
}

/** Body of GET_ALL_TOPIC_CONFIG; the mappings of static topics are left out. */
export interface TopicConfigTable {
  dataVersion: DataVersion
  /** By topicName. */
  topicConfigTable: ReadonlyMap<string, TopicConfig>
}

export function readTopicConfigTable(value: unknown): TopicConfigTable {
  const fields = new Fields('TopicConfigSerializeWrapper', value)
  return {
    dataVersion: readDataVersion(fields.fields('dataVersion').value),
    topicConfigTable: fields.table('topicConfigTable', readTopicConfig),
  }
}

/** Rows in writing: of ten thousand topics one changes, and the table is written whole. */
const rows = new WeakMap<TopicConfig, string>()

/** One member of topicConfigTable. */
export function rowInWriting(config: TopicConfig): string {
  let row = rows.get(config)
  if (row === undefined) {
    row = `${JSON.stringify(config.topicName)}:${writeJson(config)}`
    rows.set(config, row)
  }
  return row
}

/** The table in writing. Each row is kept for as long as its config is: nobody may change one that was written once. */
export function inWriting({ dataVersion, topicConfigTable }: TopicConfigTable) {
  const members: string[] = []
  for (const config of topicConfigTable.values()) members.push(rowInWriting(config))
  return { dataVersion, topicConfigTable: new JsonText(`{${members.join(',')}}`) }
}

/** The table in writing, with the empty mappings of static topics that peers expect to find. */
export function withMappings(table: TopicConfigTable) {
  return {
    ...inWriting(table),
    mappingDataVersion: { counter: 0, stateVersion: 0, timestamp: table.dataVersion.timestamp },
    topicQueueMappingDetailMap: {},
    topicQueueMappingInfoMap: {},
  }
}

export function writeTopicConfigTable(table: TopicConfigTable): string {
  return writeJson(withMappings(table))
}
