import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import { queryConsumerOffsetRequest, updateConsumerOffsetRequest } from '../remoting/headers/consumer-offset.ts'
import { offsetResponse } from '../remoting/headers/queue-offset.ts'
import { refused } from './answers.ts'
import type { Cluster } from './cluster.ts'
import { type MessageQueue, queueKey } from './message.ts'

/** Where a group's progress is kept. */
export interface OffsetStore {
  /** The next queueOffset to consume; undefined: nothing was ever stored. */
  read(queue: MessageQueue): Promise<number | undefined>
  write(queue: MessageQueue, consumerOffset: number): Promise<void>
}

/** Progress that ends with the process: what a BROADCASTING consumer has unless it brings a store of its own. */
export function offsetsInMemory(): OffsetStore {
  const offsets = new Map<string, number>() // as many as the topics have queues
  return {
    read: (queue) => Promise.resolve(offsets.get(queueKey(queue))),
    write(queue, consumerOffset) {
      offsets.set(queueKey(queue), consumerOffset)
      return Promise.resolve()
    },
  }
}

/** Progress that all members of the group share: each broker keeps it for its own queues. */
export function offsetsAtBrokers(cluster: Cluster, consumerGroup: string): OffsetStore {
  const masterOf = async ({ topic, brokerName }: MessageQueue) =>
    (await cluster.routes.get(topic)).brokerOf(brokerName, 0) ?? ''
  return {
    async read(queue) {
      const { topic, queueId } = queue
      const address = await masterOf(queue)
      const extFields = queryConsumerOffsetRequest.encode({ consumerGroup, topic, queueId })
      const code = RequestCode.QUERY_CONSUMER_OFFSET
      const answer = await cluster.remoting.call(address, { code, extFields }, cluster.requestTimeoutMs)
      if (answer.code === ResponseCode.QUERY_NOT_FOUND) return undefined
      if (answer.code !== ResponseCode.SUCCESS) throw refused(answer, code, address)
      return offsetResponse.decode(answer.extFields).offset
    },
    async write(queue, commitOffset) {
      const { topic, queueId } = queue
      const extFields = updateConsumerOffsetRequest.encode({ consumerGroup, topic, queueId, commitOffset })
      await cluster.call(await masterOf(queue), { code: RequestCode.UPDATE_CONSUMER_OFFSET, extFields })
    },
  }
}
