import { nameEndCode, PropertyName, pairEndCode, tagsCodeOf } from './properties.ts'

/** What a broker has to know of the properties of an ordinary message. */
export interface OrdinaryProperties {
  uniqKey: string
  /** Property KEYS: words. */
  keys: string | undefined
  /** Property TAGS. */
  tag: string | undefined
  tagsCode: number
  waitsForFlush: boolean
}

/** Names that make a message no ordinary one: it is delayed, half of a transaction, or was stored before. */
const specialNames: ReadonlySet<string> = new Set([
  PropertyName.DELAY,
  PropertyName.TRANSACTION_PREPARED,
  PropertyName.POP_CK,
  PropertyName.MSG_REGION,
  PropertyName.TRACE_ON,
  PropertyName.CLUSTER,
  'TIMER_DELAY_SEC',
  'TIMER_DELAY_MS',
  'TIMER_DELIVER_MS',
])

/**
 * Reads the property text of an ordinary message in one pass, as nearly every send brings one: a UNIQ_KEY, perhaps tags and
 * what its sender likes to add.
 * @returns undefined for all that is not ordinary, a text that is not well formed too
 */
export function ordinaryProperties(text: string): OrdinaryProperties | undefined {
  let uniqKey: string | undefined
  let keys: string | undefined
  let tag: string | undefined
  let waitsForFlush = true
  for (let start = 0; start < text.length; ) {
    let mark = -1
    let end = start
    for (; end < text.length; end++) {
      const char = text.charCodeAt(end)
      if (char === pairEndCode) break
      if (char !== nameEndCode) continue
      if (mark >= 0) return undefined
      mark = end
    }
    if (mark < 0) return undefined
    const name = text.slice(start, mark)
    if (name === PropertyName.UNIQ_KEY) uniqKey = text.slice(mark + 1, end)
    else if (name === PropertyName.KEYS) keys = text.slice(mark + 1, end)
    else if (name === PropertyName.TAGS) tag = text.slice(mark + 1, end)
    else if (name === PropertyName.WAIT) waitsForFlush = text.slice(mark + 1, end) !== 'false'
    else if (specialNames.has(name)) return undefined
    start = end + 1
  }
  return uniqKey === undefined ? undefined : { uniqKey, keys, tag, tagsCode: tagsCodeOf(tag), waitsForFlush }
}
