import { readInt64 } from '../../../remoting/message/index.ts'
import { entryBytes, type IndexFile, type IndexHeader } from './index-file.ts'

/** Entries of a chain lie near to each other when a key is frequent, as a tag is: so many are read at once. */
const blockEntries = 1024

export interface EntryLimits {
  countMax: number
  beginTimestamp: number
  endTimestamp: number
}

/**
 * Follows a hash's chains from the newest entry on, in the files whose time fits.
 * @param files oldest first
 * @returns phyOffsets of the newest countMax entries, ascending, each once; fewer when isTimeUp said so
 */
export async function selectEntries(
  files: readonly IndexFile[],
  hash: number,
  limits: EntryLimits,
  isTimeUp: () => boolean,
): Promise<number[]> {
  const found = new Set<number>()
  for (const file of [...files].reverse()) {
    if (found.size >= limits.countMax || isTimeUp()) break
    if (file.isClosed) continue // retention took it
    if (isTimeMatched(file.header, limits)) await followChain(file, hash, limits, found, isTimeUp)
    if (file.header.beginTimestamp < limits.beginTimestamp) break
  }
  return [...found].sort((a, b) => a - b)
}

async function followChain(
  file: IndexFile,
  hash: number,
  { countMax, beginTimestamp, endTimestamp }: EntryLimits,
  found: Set<number>,
  isTimeUp: () => boolean,
): Promise<void> {
  const block = Buffer.allocUnsafe(blockEntries * entryBytes)
  let blockFirst = Number.POSITIVE_INFINITY
  const fileBegin = file.header.beginTimestamp
  let entry = await file.newestEntry(hash)
  while (entry > 0 && found.size < countMax && !file.isClosed) {
    if (entry < blockFirst) {
      if (isTimeUp()) return
      blockFirst = Math.max(1, entry - blockEntries + 1)
      await file.readEntries(block.subarray(0, (entry - blockFirst + 1) * entryBytes), blockFirst)
    }
    const at = (entry - blockFirst) * entryBytes
    const seconds = block.readInt32BE(at + 12)
    if (seconds < 0) return
    const time = fileBegin + seconds * 1000
    const isMatch = block.readInt32BE(at) === hash && time >= beginTimestamp && time <= endTimestamp
    if (isMatch) found.add(readInt64(block, at + 4))
    const previous = block.readInt32BE(at + 16)
    if (previous >= entry || time < beginTimestamp) return // a chain leads to older entries only
    entry = previous
  }
}

/** Source: Apache RocketMQ 5, IndexFile#isTimeMatched. */
function isTimeMatched(header: IndexHeader, { beginTimestamp: begin, endTimestamp: end }: EntryLimits): boolean {
  const { beginTimestamp, endTimestamp } = header
  return begin <= endTimestamp && end >= beginTimestamp
}
