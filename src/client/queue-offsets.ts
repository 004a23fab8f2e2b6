import { RequestCode } from '../remoting/codes.ts'
import {
  getMaxOffsetRequest,
  offsetResponse,
  queueRequest,
  searchOffsetRequest,
} from '../remoting/headers/queue-offset.ts'
import type { Cluster } from './cluster.ts'
import type { MessageQueue } from './message.ts'
import type { OffsetStore } from './offset-store.ts'

export const retryPrefix = '%RETRY%'

/** Where a group begins in a queue in which it has no offset yet; timestamp: ms since 1970. */
export type ConsumeFrom = 'first' | 'last' | { timestamp: number }

/** The first queueOffset that is still there. @throws OperatingError REQUEST_REFUSED, CONNECT_FAILED… */
export function minOffset(cluster: Cluster, queue: MessageQueue): Promise<number> {
  return ask(cluster, queue, RequestCode.GET_MIN_OFFSET, queueRequest.encode(queue))
}

/** The queueOffset that the next message will have. @throws as minOffset */
export function maxOffset(cluster: Cluster, queue: MessageQueue): Promise<number> {
  return ask(cluster, queue, RequestCode.GET_MAX_OFFSET, getMaxOffsetRequest.encode(queue))
}

/** The first message stored then or later; the queue's end where there is none. @throws as minOffset */
export function searchOffset(cluster: Cluster, queue: MessageQueue, timestamp: number): Promise<number> {
  const { topic, queueId } = queue
  const extFields = searchOffsetRequest.encode({ topic, queueId, timestamp })
  return ask(cluster, queue, RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, extFields)
}

/** Where a group goes on in a queue, or begins. @throws as minOffset */
export async function startOffset(
  cluster: Cluster,
  offsets: OffsetStore,
  queue: MessageQueue,
  consumeFrom: ConsumeFrom = 'last',
): Promise<number> {
  const stored = await offsets.read(queue)
  if (stored !== undefined && stored >= 0) return stored
  if (consumeFrom === 'first' || queue.topic.startsWith(retryPrefix)) return 0 // the broker moves it on to the first there is
  return consumeFrom === 'last' ? maxOffset(cluster, queue) : searchOffset(cluster, queue, consumeFrom.timestamp)
}

async function ask(cluster: Cluster, queue: MessageQueue, code: number, extFields: Record<string, string>) {
  const address = (await cluster.routes.get(queue.topic)).brokerOf(queue.brokerName, 0) ?? ''
  return offsetResponse.decode((await cluster.call(address, { code, extFields })).extFields).offset
}
