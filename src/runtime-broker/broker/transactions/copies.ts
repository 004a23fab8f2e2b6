import { decodeMessages, PropertyName, type StoredMessage } from '../../../remoting/message/index.ts'
import type { MessageStore } from '../../store/index.ts'
import { TopicName } from '../names.ts'
import type { End, Ended } from './ended.ts'
import { checkTimesOf, firstOffsetOf, halfQueueId } from './half-message.ts'

/** Half messages that are compared with each other; copies of those beyond are asked about each. */
const comparedMax = 200_000
const batchCountMax = 32
const batchBytesMax = 1024 * 1024

interface Half {
  readonly queueOffset: number
  readonly checkTimes: number
  readonly firstOffset: number | undefined
  readonly end: Pick<End, 'outcome' | 'stored'> | undefined // that may still fail: then it ended none of its copies
}

/**
 * Finds out which half messages from halfOffset on are copies of each other: a broker that died has left some that it had passed
 * but not noted so. Each would be asked about, and committed, on its own; what ended one of them ended all.
 * @param isNoted do op messages say that it ended?
 * @param pause called between reads, so that the event loop goes on
 */
export async function joinCopies(
  store: MessageStore,
  halfOffset: number,
  isNoted: (halfOffset: number) => boolean,
  ended: Ended,
  pause: () => Promise<void>,
): Promise<void> {
  const newest = new Map<string, Half>()
  const limits = { countMax: batchCountMax, bytesMax: batchBytesMax }
  for (let next = halfOffset; newest.size < comparedMax; await pause()) {
    const read = await store.read(TopicName.TRANS_HALF, halfQueueId, next, limits)
    if (read.nextBeginOffset <= next) break
    next = read.nextBeginOffset
    for (const message of read.bodies.flatMap((body) => decodeMessages(body))) {
      const key = `${message.properties.get(PropertyName.UNIQ_KEY)} ${message.bornTimestamp}`
      const before = newest.get(key)
      const isCopy = before !== undefined && isCopyOf(message, before)
      const { queueOffset } = message
      const endBefore = isCopy ? (ended.get(before.queueOffset) ?? before.end) : undefined
      if (isCopy) ended.copied(before.queueOffset, queueOffset)
      newest.set(key, {
        queueOffset,
        checkTimes: checkTimesOf(message),
        firstOffset: firstOffsetOf(message),
        end: isNoted(queueOffset) ? endedBefore : (ended.get(queueOffset) ?? endBefore),
      })
    }
  }
  for (const { queueOffset, end } of newest.values()) {
    if (end !== undefined && ended.get(queueOffset) === undefined) ended.add(queueOffset, end.outcome, end.stored)
  }
}

const endedBefore = { outcome: undefined, stored: Promise.resolve() }

/** A copy was asked about once more than what it is a copy of, or names it. */
function isCopyOf(message: StoredMessage, before: Half): boolean {
  if (checkTimesOf(message) > before.checkTimes) return true
  const first = firstOffsetOf(message)
  return first !== undefined && (first === before.queueOffset || first === before.firstOffset)
}
