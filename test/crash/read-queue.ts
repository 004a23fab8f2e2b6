import type { RemotingClient } from '../../src/remoting/client.ts'
import { RequestCode, ResponseCode } from '../../src/remoting/codes.ts'
import { pullMessageResponse } from '../../src/remoting/headers/pull-message.ts'
import { decodeMessages, type StoredMessage } from '../../src/remoting/message/record.ts'
import { pullFields } from '../../src/remoting/testing/requests.ts'

const readTimeoutMs = 120_000

/** All records of a queue from its first one on, as they are stored. */
export async function readRecords(
  remoting: RemotingClient,
  brokerAddr: string,
  topic: string,
  queueId: number,
): Promise<Buffer[]> {
  const records: Buffer[] = []
  const until = Date.now() + readTimeoutMs
  for (let queueOffset = 0; Date.now() < until; ) {
    const extFields = pullFields({ consumerGroup: 'crash-reader', topic, queueId, queueOffset })
    const answer = await remoting.call(brokerAddr, { code: RequestCode.PULL_MESSAGE, extFields }, 10_000)
    const { nextBeginOffset } = pullMessageResponse.decode(answer.extFields)
    if (answer.code === ResponseCode.SUCCESS) {
      for (let at = 0; at < answer.body.length; at += answer.body.readInt32BE(at)) {
        records.push(Buffer.from(answer.body.subarray(at, at + answer.body.readInt32BE(at))))
      }
    } else if (answer.code === ResponseCode.PULL_NOT_FOUND) return records
    else if (nextBeginOffset === queueOffset)
      throw new Error(`${topic} queue ${queueId} at ${queueOffset}: code ${answer.code} ${answer.remark}`)
    queueOffset = nextBeginOffset
  }
  throw new Error(`${topic} queue ${queueId} was not read within ${readTimeoutMs} ms`)
}

/** As readRecords, decoded; each one's checksum is verified where it is decoded. */
export async function readQueue(
  remoting: RemotingClient,
  brokerAddr: string,
  topic: string,
  queueId: number,
): Promise<StoredMessage[]> {
  return (await readRecords(remoting, brokerAddr, topic, queueId)).flatMap((record) => decodeMessages(record))
}
