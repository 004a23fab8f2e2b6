import {
  layoutOf,
  MessageSysFlag,
  propertiesBytesMax,
  RecordMagic,
  readInt64,
  recordAt,
  recordBytesMin,
} from '../../../remoting/message/index.ts'
import type { CommitLog } from '../commit-log.ts'
import { collectKeyHashes, type KeyTexts } from './keys.ts'

const chunkBytes = 256 * 1024
/** What is read of the log at least: records whose keys are noted lie between those that are wanted, and a read costs more than its bytes. */
const readBytesMin = 16 * 1024
/** Fixed fields of the longest head, with IPv6 hosts. */
const headBytesMax = 112
/** topic length, topic, properties length, properties. */
const textsBytesMax = 2 + 32_767 + 2 + propertiesBytesMax

/** Is told the keys of one record; false: it takes no more for now, and this record comes again. */
export type KeyTaker = (hashes: readonly number[], count: number, phyOffset: number, storeTimestamp: number) => boolean

/**
 * Reads records from the log and tells their keys. It goes over records that were checked when they were written or
 * recovered, so it checks no more than it needs to stay on its way.
 */
export class KeyReader {
  readonly #log: CommitLog
  readonly #chunk = Buffer.allocUnsafeSlow(chunkBytes)
  readonly #hashes: number[] = []
  #chunkAt = 0 // phyOffset of what the chunk holds
  #heldBytes = 0

  constructor(log: CommitLog) {
    this.#log = log
  }

  /**
   * Tells the keys of the records from phyOffset, where one begins, that end at or before end and lie in one chunk.
   * @param readableTo how far the log may be read, end or more: it is read in larger pieces than is asked for
   * @returns where the next record begins, and whether the taker was content; isLost: there is no record here
   */
  read(
    phyOffset: number,
    end: number,
    take: KeyTaker,
    readableTo = end,
  ): { next: number; wasTaken: boolean; isLost: boolean } {
    const { segments } = this.#log
    const segmentEnd = segments.startOf(phyOffset) + segments.segmentBytes
    const wanted = Math.min(end, segmentEnd)
    if (phyOffset < this.#chunkAt || wanted > this.#chunkAt + this.#heldBytes) {
      const bytes = Math.max(wanted - phyOffset, Math.min(readBytesMin, readableTo - phyOffset, segmentEnd - phyOffset))
      this.#heldBytes = 0 // of another place, should the read fail
      this.#heldBytes = this.#log.read(this.#chunk.subarray(0, Math.min(chunkBytes, bytes)), phyOffset)
      this.#chunkAt = phyOffset
    }
    const at = phyOffset - this.#chunkAt
    const chunk = this.#chunk.subarray(at, Math.min(this.#heldBytes, at + wanted - phyOffset))
    return this.#tell(chunk, phyOffset, segmentEnd, take)
  }

  /** What was read is no longer what the log holds. */
  forget(): void {
    this.#heldBytes = 0
  }

  /** Brings the bytes that the next read needs into memory without holding up the turn: the log may be cold there. */
  async readAhead(phyOffset: number, end: number): Promise<void> {
    const { segments } = this.#log
    const segmentEnd = segments.startOf(phyOffset) + segments.segmentBytes
    const ahead = Buffer.allocUnsafe(Math.min(4 * chunkBytes, end - phyOffset, segmentEnd - phyOffset))
    await this.#log.readLater(ahead, phyOffset)
  }

  #tell(chunk: Buffer, phyOffset: number, segmentEnd: number, take: KeyTaker) {
    let at = 0
    while (chunk.length - at >= 8) {
      const size = chunk.readInt32BE(at)
      const magic = chunk.readInt32BE(at + recordAt.magic)
      if (magic === RecordMagic.BLANK) return { next: segmentEnd, wasTaken: true, isLost: false }
      const isRecord = (magic === RecordMagic.V1 || magic === RecordMagic.V2) && size >= recordBytesMin
      if (!isRecord) return { next: phyOffset + at, wasTaken: true, isLost: true }
      if (at + size > chunk.length) break
      const layout = layoutOf(chunk, at)
      if (layout === undefined) return { next: phyOffset + at, wasTaken: true, isLost: true }
      const sysFlag = chunk.readInt32BE(at + recordAt.sysFlag)
      if (!this.#take(chunk, layout, sysFlag, readInt64(chunk, layout.storeTimestampAt), phyOffset + at, take)) {
        return { next: phyOffset + at, wasTaken: false, isLost: false }
      }
      at += size
    }
    return at > 0 ? { next: phyOffset + at, wasTaken: true, isLost: false } : this.#tellLarge(chunk, phyOffset, take)
  }

  /** A record that is longer than a chunk: its body is passed over. */
  #tellLarge(chunk: Buffer, phyOffset: number, take: KeyTaker) {
    const lost = { next: phyOffset, wasTaken: true, isLost: true }
    if (chunk.length < headBytesMax) return lost
    const size = chunk.readInt32BE(0)
    const sysFlag = chunk.readInt32BE(recordAt.sysFlag)
    const storeTimestampAt = recordAt.bornHost + ((sysFlag & MessageSysFlag.BORN_HOST_IPV6) === 0 ? 8 : 20)
    const bodyAt = storeTimestampAt + 8 + ((sysFlag & MessageSysFlag.STORE_HOST_IPV6) === 0 ? 8 : 20) + 16
    const textsAt = bodyAt + chunk.readInt32BE(bodyAt - 4)
    const textsBytes = size - textsAt
    if (textsAt < bodyAt || textsBytes < 4 || textsBytes > textsBytesMax) return lost
    const storeTimestamp = readInt64(chunk, storeTimestampAt)
    const isV2 = chunk.readInt32BE(recordAt.magic) === RecordMagic.V2
    const texts = Buffer.allocUnsafe(textsBytes)
    this.#log.read(texts, phyOffset + textsAt)
    const topicAt = isV2 ? 2 : 1
    const topicLength = isV2 ? texts.readInt16BE(0) : texts.readInt8(0)
    const propertiesAt = topicAt + topicLength + 2
    if (topicLength < 0 || propertiesAt > textsBytes) return lost
    const propertiesLength = texts.readInt16BE(propertiesAt - 2)
    if (propertiesLength < 0 || propertiesAt + propertiesLength !== textsBytes) return lost
    const wasTaken = this.#take(
      texts,
      { topicAt, topicLength, propertiesAt, propertiesLength },
      sysFlag,
      storeTimestamp,
      phyOffset,
      take,
    )
    return { next: wasTaken ? phyOffset + size : phyOffset, wasTaken, isLost: false }
  }

  #take(
    from: Buffer,
    texts: KeyTexts,
    sysFlag: number,
    storeTimestamp: number,
    phyOffset: number,
    take: KeyTaker,
  ): boolean {
    if ((sysFlag & MessageSysFlag.TRANSACTION_MASK) === MessageSysFlag.TRANSACTION_ROLLBACK) return true
    const count = collectKeyHashes(from, texts, this.#hashes)
    return count === 0 || take(this.#hashes, count, phyOffset, storeTimestamp)
  }
}
