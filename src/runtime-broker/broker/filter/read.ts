import { layoutOf, readInt64, readProperty, recordAt } from '../../../remoting/message/index.ts'
import type { MessageStore, QueueName, ReadLimits, ReadResult } from '../../store/index.ts'
import type { Filter } from './filter.ts'

/** Messages that one read looks at. As many as Apache's broker looks at: maxFilterMessageSize 16000, in units of 20 bytes. */
const lookedAtMax = 800
/** Of one read of the store. */
const batchBytesMax = 1024 * 1024

/**
 * Reads what the filter wants of a queue: as MessageStore.read, but that it looks at the messages themselves. Their
 * properties are nowhere else.
 */
export async function readFiltered(
  store: MessageStore,
  { topic, queueId }: QueueName,
  queueOffset: number,
  { countMax, bytesMax }: ReadLimits,
  filter: Filter,
): Promise<ReadResult> {
  const bodies: Buffer[] = []
  let bytes = 0
  let next = queueOffset
  for (;;) {
    const read = await store.read(topic, queueId, next, { countMax: lookedAtMax, bytesMax: batchBytesMax })
    if (read.status !== 'found') return read
    const found = (): ReadResult => {
      return { ...read, status: 'found', nextBeginOffset: next, bodies, count: bodies.length, bytes }
    }
    for (const record of recordsOf(read.bodies)) {
      if (wants(record, filter)) {
        if (bodies.length > 0 && bytes + record.length > bytesMax) return found()
        bodies.push(record)
        bytes += record.length
      }
      next = readInt64(record, recordAt.queueOffset) + 1
      if (bodies.length >= countMax) return found()
    }
    next = Math.max(next, read.nextBeginOffset)
    if (bodies.length > 0) return found()
    if (next >= read.maxOffset || next - queueOffset >= lookedAtMax) {
      return { ...read, status: 'noMatch', nextBeginOffset: next, bodies: [], count: 0, bytes: 0 }
    }
  }
}

function* recordsOf(bodies: readonly Buffer[]): Generator<Buffer> {
  for (const body of bodies) {
    for (let at = 0; at < body.length; ) {
      const end = at + body.readInt32BE(at)
      yield body.subarray(at, end)
      at = end
    }
  }
}

function wants(record: Buffer, filter: Filter): boolean {
  const layout = layoutOf(record, 0)
  if (layout === undefined) return false
  const { propertiesAt, propertiesLength } = layout
  const properties = record.toString('utf8', propertiesAt, propertiesAt + propertiesLength)
  return filter((name) => readProperty(properties, name))
}
