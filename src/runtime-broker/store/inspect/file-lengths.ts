import { brokerSchema } from '../../../tunables/index.ts'

const { mappedFileSizeCommitLog, mappedFileSizeConsumeQueue, maxHashSlotNum, maxIndexNum } = brokerSchema.shape

/** What brokers have where nobody sets it. */
export const defaults = {
  segmentBytes: mappedFileSizeCommitLog.preset!,
  queueFileBytes: mappedFileSizeConsumeQueue.preset!,
  slotCount: maxHashSlotNum.preset!,
  entryCountMax: maxIndexNum.preset!,
}

/**
 * The length that files of one kind must have: what is given, else what most have. One file alone tells nothing, since it
 * may be the one that was cut: then it is what brokers have.
 */
export function lengthOf(lengths: readonly number[], given: number | undefined, byDefault: number): number {
  if (given !== undefined) return given
  return lengths.filter((length) => length > 0).length < 2 ? byDefault : usualLength(lengths)
}

/**
 * The length that most have; of two that are equally frequent the larger one, since files are cut rather than grow. 0: there
 * are none.
 */
export function usualLength(lengths: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const length of lengths) if (length > 0) counts.set(length, (counts.get(length) ?? 0) + 1)
  let usual = 0
  for (const [length, count] of counts) {
    const best = counts.get(usual) ?? 0
    if (count > best || (count === best && length > usual)) usual = length
  }
  return usual
}
