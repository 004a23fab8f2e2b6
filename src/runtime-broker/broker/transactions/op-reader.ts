import { decodeMessages } from '../../../remoting/message/index.ts'
import type { MessageStore } from '../../store/index.ts'
import { TopicName } from '../names.ts'
import { halfQueueId, offsetsOf } from './half-message.ts'

/** Ended half messages of one pass; what is beyond belongs to the next one, and is asked about in this one. */
const endedMax = 2_000_000
const batchCountMax = 32
const batchBytesMax = 1024 * 1024

/** What the op messages from one offset on say. */
export interface Ops {
  /** queueOffsets of half messages that ended, also of such before the pass's first. */
  readonly ended: ReadonlySet<number>
  /** The offset behind the op messages that name nothing at or behind halfOffset: where the next pass begins. */
  doneTo(halfOffset: number): number
}

/** Reads all op messages from opOffset on. @param pause called between reads, so that the event loop goes on */
export async function readOps(store: MessageStore, opOffset: number, pause: () => Promise<void>): Promise<Ops> {
  const ended = new Set<number>()
  const names: { queueOffset: number; last: number }[] = []
  let next = opOffset
  while (ended.size < endedMax) {
    const limits = { countMax: batchCountMax, bytesMax: batchBytesMax }
    const read = await store.read(TopicName.TRANS_OP_HALF, halfQueueId, next, limits)
    if (read.status !== 'found' && read.nextBeginOffset === next) break
    next = read.nextBeginOffset
    if (read.status === 'overflowBadly' || read.maxOffset === 0) break // a queue that began anew
    for (const op of read.bodies.flatMap((body) => decodeMessages(body))) {
      let last = -1
      for (const offset of offsetsOf(op)) {
        ended.add(offset)
        if (offset > last) last = offset
      }
      names.push({ queueOffset: op.queueOffset, last })
    }
    await pause()
  }
  return {
    ended,
    doneTo(halfOffset) {
      const open = names.find(({ last }) => last >= halfOffset)
      return open?.queueOffset ?? next
    },
  }
}
