import { crc32 } from 'node:zlib'
import type { Files } from '../../base/files.ts'
import { readInt64, writeInt64 } from '../../remoting/message/index.ts'

const pageBytes = 4096
const ownAt = 2048 // Apache leaves everything behind its five fields zero
const ownMagic = 0x71735431 // "qsT1"
const ownBytes = 40

/**
 * How far the store is safe. Apache's part: times (ms) of the newest message that is flushed, queued and indexed; a
 * crash makes it read the log again from the segment that these name.
 * Ours, at byte 2048: magic i32, queuesSyncedTo i64, the two times again (i64 each), unitCount i64, CRC-32 of these 36
 * bytes. It names the very byte to read again from, and counts only while Apache's times are those it was written with:
 * then nobody else has written here since.
 */
export interface Checkpoint {
  physicMsgTimestamp: number
  logicsMsgTimestamp: number
  indexMsgTimestamp: number
  /** Every record below has its unit in a file that survives a power cut; undefined when nobody says so. */
  queuesSyncedTo: number | undefined
  /** Sum of all queues' maxOffset when they held the records below queuesSyncedTo: tells when one was lost or cut since. */
  unitCount: number | undefined
}

/** A missing, short or foreign file is no error: it says nothing. */
export function readCheckpoint(files: Files, path: string): Checkpoint {
  const page = Buffer.alloc(pageBytes)
  if (files.exists(path)) {
    const file = files.open(path, 'existing')
    file.read(page, 0)
    file.close()
  }
  const checkpoint: Checkpoint = {
    physicMsgTimestamp: readInt64(page, 0),
    logicsMsgTimestamp: readInt64(page, 8),
    indexMsgTimestamp: readInt64(page, 16),
    queuesSyncedTo: undefined,
    unitCount: undefined,
  }
  const own = page.subarray(ownAt, ownAt + ownBytes)
  const isOurs =
    own.readInt32BE(0) === ownMagic &&
    own.readInt32BE(36) === (crc32(own.subarray(0, 36)) | 0) &&
    readInt64(own, 12) === checkpoint.physicMsgTimestamp &&
    readInt64(own, 20) === checkpoint.logicsMsgTimestamp
  if (isOurs) {
    checkpoint.queuesSyncedTo = readInt64(own, 4)
    const unitCount = readInt64(own, 28)
    if (unitCount >= 0) checkpoint.unitCount = unitCount
  }
  return checkpoint
}

/** Writes the checkpoint so that it survives a power cut. @throws OperatingError FILE_FAILED */
export async function writeCheckpoint(files: Files, path: string, checkpoint: Checkpoint): Promise<void> {
  const page = Buffer.alloc(pageBytes)
  const own = page.subarray(ownAt, ownAt + ownBytes)
  writeInt64(page, checkpoint.physicMsgTimestamp, 0)
  writeInt64(page, checkpoint.logicsMsgTimestamp, 8)
  writeInt64(page, checkpoint.indexMsgTimestamp, 16)
  if (checkpoint.queuesSyncedTo !== undefined) {
    own.writeInt32BE(ownMagic, 0)
    writeInt64(own, checkpoint.queuesSyncedTo, 4)
    writeInt64(own, checkpoint.physicMsgTimestamp, 12)
    writeInt64(own, checkpoint.logicsMsgTimestamp, 20)
    writeInt64(own, checkpoint.unitCount ?? -1, 28)
    own.writeInt32BE(crc32(own.subarray(0, 36)) | 0, 36)
  }
  const file = files.open(path, 'either')
  try {
    file.write(page, 0)
    await file.sync()
  } finally {
    file.close()
  }
}
