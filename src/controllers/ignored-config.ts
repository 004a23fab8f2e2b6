import type { Condition } from '../crds/index.ts'
import type { Note } from '../kube/index.ts'
import { type Verdict, verdict } from './conditions.ts'

/**
 * What is to be said of settings that change nothing: a condition for as long as there are any, and an event when it is news.
 * @param ignored see ignoredOf
 */
export function ignoredReport(
  ignored: string | undefined,
  before: readonly Condition[] | undefined,
): { verdicts: Verdict[]; notes: Note[] } {
  if (ignored === undefined) return { verdicts: [], notes: [] }
  const message = `spec.config: ${ignored}`
  const isNews = before?.find(({ type }) => type === 'ConfigIgnored')?.message !== message
  return {
    verdicts: [verdict('ConfigIgnored', true, 'NotRead', message)],
    notes: isNews ? [{ type: 'Warning', reason: 'ConfigIgnored', message }] : [],
  }
}
