import { nodeClock } from '../node/index.ts'

const pollMs = 10
const deadlineMsDefault = 8_000 // before jest's own limit, which says less

/**
 * Waits until check neither throws nor rejects.
 * @returns what it returned
 * @throws what it last threw, once deadlineMs are over
 */
export async function eventually<T>(check: () => T | Promise<T>, deadlineMs = deadlineMsDefault): Promise<T> {
  for (const untilMs = nodeClock.monotonicMs() + deadlineMs; ; await nodeClock.sleep(pollMs)) {
    try {
      return await check()
    } catch (error) {
      if (nodeClock.monotonicMs() > untilMs) throw error
    }
  }
}

/** Waits until look finds something. @returns what it found @throws Error with the text of look, after deadlineMs */
export function found<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = deadlineMsDefault,
): Promise<T> {
  return eventually(async () => {
    const value = await look()
    if (value === undefined || value === false) throw new Error(`not within ${deadlineMs} ms: ${look}`)
    return value
  }, deadlineMs)
}
