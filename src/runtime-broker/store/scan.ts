import {
  isBodyIntact,
  layoutOf,
  type RecordLayout,
  RecordMagic,
  readInt64,
  recordAt,
  recordBytesMin,
} from '../../remoting/message/index.ts'
import type { CommitLog } from './commit-log.ts'

const chunkBytes = 4 * 1024 * 1024

/** One record that a scan passes; valid until the next one. */
export interface ScannedRecord {
  buffer: Buffer
  position: number // in buffer
  layout: RecordLayout
  phyOffset: number
}

/**
 * Reads records from phyOffset, which must be where a record begins or the log ends, up to the first thing that is no
 * whole record at its place.
 * @returns where the valid records end
 */
export async function scanRecords(
  log: CommitLog,
  phyOffset: number,
  checkCrc: boolean,
  onRecord: (record: ScannedRecord) => void,
): Promise<number> {
  const { segments } = log
  let buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, segments.segmentBytes))
  for (let from = phyOffset; ; ) {
    if (from >= segments.endOffset) return from
    const segmentEnd = segments.startOf(from) + segments.segmentBytes
    const wanted = Math.min(buffer.length, segmentEnd - from)
    const count = await log.readLater(buffer.subarray(0, wanted), from)
    const isCut = count < wanted // the file was cut since it was opened: more will not come
    const bytes = buffer.subarray(0, count)
    const { position, stop } = scanChunk(bytes, from, checkCrc, onRecord)
    if (stop === 'invalid') return from + position
    if (stop === 'blank') {
      if (from + position + bytes.readInt32BE(position) !== segmentEnd) return from + position
      from = segmentEnd
    } else if (position > 0) {
      from += position
    } else {
      // Not even one record fits into what was read: it is longer than the buffer, or its segment ends within it.
      const size = count >= 4 ? bytes.readInt32BE(0) : 0
      if (isCut || size <= count || from + size > segmentEnd) return from
      buffer = Buffer.allocUnsafeSlow(size)
    }
  }
}

/** @returns where it stopped, and why: not a record, a blank one, or more bytes are needed to tell */
export function scanChunk(
  bytes: Buffer,
  from: number,
  checkCrc: boolean,
  onRecord: (record: ScannedRecord) => void,
): { position: number; stop: 'invalid' | 'blank' | 'needsMore' } {
  let position = 0
  while (bytes.length - position >= 8) {
    const size = bytes.readInt32BE(position)
    const magic = bytes.readInt32BE(position + recordAt.magic)
    if (magic === RecordMagic.BLANK) return { position, stop: 'blank' }
    if ((magic !== RecordMagic.V1 && magic !== RecordMagic.V2) || size < recordBytesMin)
      return { position, stop: 'invalid' }
    if (position + size > bytes.length) break
    const layout = layoutOf(bytes, position)
    const phyOffset = from + position
    if (
      layout === undefined ||
      readInt64(bytes, position + recordAt.phyOffset) !== phyOffset ||
      !hasWholeTexts(bytes, layout) ||
      (checkCrc && !isBodyIntact(bytes, position, layout))
    ) {
      return { position, stop: 'invalid' }
    }
    onRecord({ buffer: bytes, position, layout, phyOffset })
    position += size
  }
  return { position, stop: 'needsMore' }
}

/**
 * The checksum covers the body alone. A write that was cut behind it leaves zeroes in the topic or at the end; pages of it
 * that did not reach the disk when the power went leave sectors of zeroes in between.
 */
function hasWholeTexts(bytes: Buffer, { topicAt, topicLength, propertiesAt, propertiesLength }: RecordLayout): boolean {
  if (topicLength === 0) return false
  for (let at = topicAt; at < topicAt + topicLength; at++) if (bytes[at] === 0 || bytes[at] === slash) return false
  if (propertiesLength === 0) return true
  const propertiesEnd = propertiesAt + propertiesLength
  if (bytes[propertiesEnd - 1] === 0) return false
  return propertiesLength <= lostSector.length || !bytes.subarray(propertiesAt, propertiesEnd).includes(lostSector)
}

const slash = 0x2f // topics are directory names
const lostSector = Buffer.alloc(512) // the least that a disk writes; no property has so many zeroes
