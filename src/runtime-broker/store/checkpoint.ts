import { crc32 } from 'node:zlib'
import type { Files } from '../../base/files.ts'
import { readInt64, writeInt64 } from '../../remoting/message/index.ts'
import type { SavedIndex } from './key-index/key-index.ts'

const pageBytes = 4096
const ownAt = 2048 // Apache leaves everything behind its five fields zero
const ownMagic = 0x71735431 // "qsT1"
const ownBytes = 40
const indexAt = 2112
const indexMagic = 0x71734931 // "qsI1"
const indexBytes = 56
const indexNameBytes = 20

/**
 * How far the store is safe. Apache's part: times (ms) of the newest message that is flushed, queued and indexed; a
 * crash makes it read the log again from the segment that these name.
 * Ours, at byte 2048: magic i32, queuesSyncedTo i64, the two times again (i64 each), unitCount i64, CRC-32 of these 36
 * bytes. It names the very byte to read again from, and counts only while Apache's times are those it was written with:
 * then nobody else has written here since. At byte 2112, on the same condition: magic i32, indexedTo i64, the two times
 * (i64 each), count i32, the newest index file's name (20 bytes, zeroes behind it), CRC-32 of these 52 bytes.
 */
export interface Checkpoint {
  physicMsgTimestamp: number
  logicsMsgTimestamp: number
  indexMsgTimestamp: number
  /** Every record below has its unit in a file that survives a power cut; undefined when nobody says so. */
  queuesSyncedTo: number | undefined
  /** Sum of all queues' maxOffset when they held the records below queuesSyncedTo: tells when one was lost or cut since. */
  unitCount: number | undefined
  /** undefined when nobody says so. */
  index: SavedIndex | undefined
}

/** A missing, short or foreign file is no error: it says nothing. */
export function readCheckpoint(files: Files, path: string): Checkpoint {
  const page = Buffer.alloc(pageBytes)
  if (files.exists(path)) {
    const file = files.open(path, 'reading')
    file.read(page, 0)
    file.close()
  }
  const checkpoint: Checkpoint = {
    physicMsgTimestamp: readInt64(page, 0),
    logicsMsgTimestamp: readInt64(page, 8),
    indexMsgTimestamp: readInt64(page, 16),
    queuesSyncedTo: undefined,
    unitCount: undefined,
    index: undefined,
  }
  const own = page.subarray(ownAt, ownAt + ownBytes)
  const isOurs =
    own.readInt32BE(0) === ownMagic &&
    own.readInt32BE(36) === (crc32(own.subarray(0, 36)) | 0) &&
    hasTimes(own, checkpoint)
  if (isOurs) {
    checkpoint.queuesSyncedTo = readInt64(own, 4)
    const unitCount = readInt64(own, 28)
    if (unitCount >= 0) checkpoint.unitCount = unitCount
  }
  checkpoint.index = readSavedIndex(page.subarray(indexAt, indexAt + indexBytes), checkpoint)
  return checkpoint
}

function hasTimes(own: Buffer, { physicMsgTimestamp, logicsMsgTimestamp }: Checkpoint): boolean {
  return readInt64(own, 12) === physicMsgTimestamp && readInt64(own, 20) === logicsMsgTimestamp
}

function readSavedIndex(own: Buffer, checkpoint: Checkpoint): SavedIndex | undefined {
  if (own.readInt32BE(0) !== indexMagic || !hasTimes(own, checkpoint)) return undefined
  if (own.readInt32BE(52) !== (crc32(own.subarray(0, 52)) | 0)) return undefined
  const name = own.toString('latin1', 32, 32 + indexNameBytes)
  return { indexedTo: readInt64(own, 4), count: own.readInt32BE(28), fileName: name.replace(/\0+$/, '') }
}

function writeSavedIndex(own: Buffer, { physicMsgTimestamp, logicsMsgTimestamp, index }: Checkpoint): void {
  if (index === undefined) return
  own.writeInt32BE(indexMagic, 0)
  writeInt64(own, index.indexedTo, 4)
  writeInt64(own, physicMsgTimestamp, 12)
  writeInt64(own, logicsMsgTimestamp, 20)
  own.writeInt32BE(index.count, 28)
  own.write(index.fileName, 32, indexNameBytes, 'latin1')
  own.writeInt32BE(crc32(own.subarray(0, 52)) | 0, 52)
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
  writeSavedIndex(page.subarray(indexAt, indexAt + indexBytes), checkpoint)
  const file = files.open(path, 'either')
  try {
    file.write(page, 0)
    await file.sync()
  } finally {
    file.close()
  }
}
