/**
 * Whether a slave's log is still its master's. A slave does not go on at its end at once: it asks for bytes that it has
 * already, and compares. Records carry their offset and their time, so two logs with the same bytes in one place came from
 * the same messages up to there.
 */
import type { CopiedLog, RawLog } from '../store/index.ts'

/** Compared at least, when the newest record is not known. */
const nearBytes = 1024 * 1024
const nearBytesMin = 4096
/** How far back a common past is looked for, and so the most that is ever cut off. */
export const farBytes = 64 * 1024 * 1024
/** So many bytes of the same record are no chance: they hold its UNIQ_KEY, or all of its header. */
const agreedBytesMin = 256

export type Reach = 'near' | 'far'

/**
 * Where to ask from: never 0, which means something else.
 * @param masterMinOffset as far as it is known
 */
export function compareFrom(raw: RawLog, copy: CopiedLog, reach: Reach, masterMinOffset: number): number {
  const { minOffset, maxOffset } = raw
  const last = copy.lastRecordOffset ?? maxOffset - nearBytes
  const from = reach === 'far' ? maxOffset - farBytes : Math.min(last, maxOffset - nearBytesMin)
  return Math.max(1, minOffset, masterMinOffset, from)
}

/** How a comparison ended. offset: the first byte that differs, or where the master's log ends before the slave's. */
export type Finding = { is: 'same' } | { is: 'different' | 'ahead'; offset: number } | { is: 'gone'; minOffset: number } // the master's log begins behind the slave's end

export type Verdict =
  | { do: 'follow' }
  | { do: 'compare'; reach: Reach; masterMinOffset: number }
  /** From here on the slave's bytes are not the master's. */
  | { do: 'cut'; phyOffset: number }
  /** Only a person can tell which of the two logs is right. */
  | { do: 'refuse'; why: string }

export interface Compared {
  from: number // the first byte
  reach: Reach
  maxOffset: number // of the slave's log
  /** The last byte at or before phyOffset where a record ends. */
  recordEnd: (phyOffset: number) => number
}

export function judge(finding: Finding, { from, reach, maxOffset, recordEnd }: Compared): Verdict {
  if (finding.is === 'same') return { do: 'follow' }
  if (finding.is === 'gone') {
    const { minOffset: masterMinOffset } = finding
    if (masterMinOffset < maxOffset) return { do: 'compare', reach, masterMinOffset }
    return {
      do: 'refuse',
      why: 'the master has deleted what comes next: empty this store, it will get the last segment',
    }
  }
  const phyOffset = recordEnd(finding.offset)
  if (phyOffset - from >= agreedBytesMin) return { do: 'cut', phyOffset }
  if (reach === 'near') return { do: 'compare', reach: 'far', masterMinOffset: 0 }
  const why =
    'the newest 64 MiB have nothing in common with the master’s log: is it another group’s, or was its disk replaced?'
  return { do: 'refuse', why }
}
