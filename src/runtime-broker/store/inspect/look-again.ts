import type { Clock } from '../../../base/clock.ts'

/** A record that is half there is looked at again so often, at most: a broker may be writing it. */
const looksMax = 20
const everyMs = 50
/** Of all places together: where many are damaged, none of them will be a record. */
const looksInAllMax = 200

/**
 * For walkLog, in a directory where a broker may be at work: what is no record yet may be one soon.
 * @returns whether to look again at phyOffset, after a while
 */
export function lookAgain(clock: Clock): (phyOffset: number) => Promise<boolean> {
  let last = { phyOffset: -1, count: 0 }
  let looksInAll = 0
  return async (phyOffset) => {
    if (last.phyOffset !== phyOffset) last = { phyOffset, count: 0 }
    if (last.count >= looksMax || looksInAll >= looksInAllMax) return false
    last.count++
    looksInAll++
    await clock.sleep(everyMs)
    return true
  }
}
