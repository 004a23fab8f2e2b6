import { readJson } from '../json.ts'
import { Fields } from './fields.ts'

export interface MessageQueue {
  topic: string
  brokerName: string
  queueId: number
}

/** What is known of each queue. The keys are objects, to be iterated: get and has do not find them. */
export type QueueTable<Value> = ReadonlyMap<MessageQueue, Value>

export function readMessageQueue(value: unknown): MessageQueue {
  const fields = new Fields('MessageQueue', value)
  return { topic: fields.text('topic'), brokerName: fields.text('brokerName'), queueId: fields.integer('queueId') }
}

/** Reads a table whose keys are queues, as objects or as their JSON text. */
export function readQueueTable<Value>(
  fields: Fields,
  key: string,
  read: (value: unknown) => Value,
): Map<MessageQueue, Value> {
  const entries = fields.fields(key).entries()
  return new Map(entries.map(([queue, value]) => [readMessageQueue(readJson(queue)), read(value)]))
}
