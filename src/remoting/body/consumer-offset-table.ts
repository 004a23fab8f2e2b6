import { writeJson } from '../json.ts'
import { type DataVersion, readDataVersion } from './data-version.ts'
import { Fields, integerItem, integerKey } from './fields.ts'

/** Body of GET_ALL_CONSUMER_OFFSET. Source: Apache RocketMQ 5, ConsumerOffsetSerializeWrapper. */
export interface ConsumerOffsetTable {
  dataVersion: DataVersion
  offsetTable: ReadonlyMap<string, ReadonlyMap<number, number>> // topic@group, queueId, consumerOffset
}

export function readConsumerOffsetTable(value: unknown): ConsumerOffsetTable {
  const fields = new Fields('ConsumerOffsetSerializeWrapper', value)
  return {
    dataVersion: readDataVersion(fields.fields('dataVersion').value),
    offsetTable: fields.table('offsetTable', (queues, name) => {
      const offsets = new Fields('offsetTable', { [name]: queues }).table(name, integerItem('offsetTable'))
      return new Map([...offsets].map(([queueId, offset]) => [integerKey('offsetTable', queueId), offset]))
    }),
  }
}

export function writeConsumerOffsetTable(table: ConsumerOffsetTable): string {
  return writeJson(table, { unquotedIntegerKeys: true })
}
