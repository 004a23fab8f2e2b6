import type { MessageQueue } from './message.ts'

/**
 * The share of one member of a consumer group: contiguous queues, as equal in number as can be, the first members one
 * more. All members must come to the same division: queues and members sorted alike, AVG at all of them.
 * @param members clientIds, sorted; a member that is not among them gets nothing
 * Source: Apache RocketMQ 5, AllocateMessageQueueAveragely.
 */
export function allocateAveragely(
  queues: readonly MessageQueue[],
  members: readonly string[],
  clientId: string,
): MessageQueue[] {
  const index = members.indexOf(clientId)
  if (index < 0) return []
  const share = Math.floor(queues.length / members.length)
  const rest = queues.length % members.length
  const start = index * share + Math.min(index, rest)
  return queues.slice(start, start + share + (index < rest ? 1 : 0))
}
