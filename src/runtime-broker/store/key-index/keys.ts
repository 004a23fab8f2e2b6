import { nameEndCode, pairEndCode, type RecordLayout } from '../../../remoting/message/index.ts'

/** What a key is: UNIQ_KEY and KEYS share the plain form, tags have their own. Source: Apache RocketMQ 5.5, MessageConst. */
export const tagIndexType = 'T'

const space = 0x20
const sharp = 0x23

/** Where the texts of a record lie that its keys are made of. */
export type KeyTexts = Pick<RecordLayout, 'topicAt' | 'topicLength' | 'propertiesAt' | 'propertiesLength'>

/** Java's String.hashCode of `topic#key` (of a tag: `topic#T#tag`), made positive. Source: IndexService#buildKey, IndexFile. */
export function keyHash(topic: string, key: string, indexType?: string): number {
  return positive(hashText(indexType === tagIndexType ? `${topic}#${tagIndexType}#${key}` : `${topic}#${key}`, 0))
}

/**
 * Finds the keys of one record: UNIQ_KEY, each word of KEYS, the tag. Works on the bytes as they are stored: a million
 * messages bring millions of keys, and no string is needed to hash one.
 * @param into gets the hash of each, from its beginning
 * @returns how many there are
 */
export function collectKeyHashes(from: Buffer, texts: KeyTexts, into: number[]): number {
  const end = texts.propertiesAt + texts.propertiesLength
  let uniqAt = -1
  let uniqEnd = -1
  let keysAt = -1
  let keysEnd = -1
  let tagAt = -1
  let tagEnd = -1
  for (let at = texts.propertiesAt; at < end; ) {
    let mark = -1
    let marks = 0
    let next = at
    for (; next < end; next++) {
      const byte = from[next]
      if (byte === pairEndCode) break
      if (byte === nameEndCode && marks++ === 0) mark = next
    }
    // A later property of the same name wins, as in every reader of the text.
    if (marks === 1) {
      if (mark - at === 8 && isName(from, at, uniqKeyName)) {
        uniqAt = mark + 1
        uniqEnd = next
      } else if (mark - at === 4 && isName(from, at, keysName)) {
        keysAt = mark + 1
        keysEnd = next
      } else if (mark - at === 4 && isName(from, at, tagsName)) {
        tagAt = mark + 1
        tagEnd = next
      }
    }
    at = next + 1
  }
  if (uniqAt < 0 && keysAt < 0 && tagAt < 0) return 0

  const { topicAt, topicLength } = texts
  const prefix = (Math.imul(31, hashBytes(from, topicAt, topicAt + topicLength, 0)) + sharp) | 0
  let count = 0
  if (uniqAt >= 0) into[count++] = positive(hashBytes(from, uniqAt, uniqEnd, prefix))
  for (let at = keysAt; at >= 0 && at < keysEnd; ) {
    let next = at
    while (next < keysEnd && from[next] !== space) next++
    if (next > at) into[count++] = positive(hashBytes(from, at, next, prefix))
    at = next + 1
  }
  if (tagEnd > tagAt) into[count++] = positive(hashBytes(from, tagAt, tagEnd, hashText(`${tagIndexType}#`, prefix)))
  return count
}

/** The keys of a message. */
export interface MessageKeys {
  uniqKey: string
  keys: string | undefined // words
  tag: string | undefined
}

/** As collectKeyHashes, of keys that need not be looked for. */
export function hashKeys(topic: string, { uniqKey, keys, tag }: MessageKeys, into: number[]): number {
  const prefix = hashText('#', hashText(topic, 0))
  let count = 0
  into[count++] = positive(hashText(uniqKey, prefix))
  if (keys !== undefined) {
    for (const word of keys.split(' ')) if (word !== '') into[count++] = positive(hashText(word, prefix))
  }
  if (tag !== undefined && tag !== '') into[count++] = positive(hashText(tag, hashText(`${tagIndexType}#`, prefix)))
  return count
}

const uniqKeyName = Buffer.from('UNIQ_KEY')
const keysName = Buffer.from('KEYS')
const tagsName = Buffer.from('TAGS')

function isName(from: Buffer, at: number, name: Buffer): boolean {
  for (let index = 0; index < name.length; index++) if (from[at + index] !== name[index]) return false
  return true
}

/** Goes on with a hash over UTF-8 bytes as over the text they are; bytes of ASCII are its characters. */
function hashBytes(from: Buffer, start: number, end: number, before: number): number {
  let hash = before
  for (let at = start; at < end; at++) {
    const byte = from[at]!
    if (byte >= 0x80) return hashText(from.toString('utf8', start, end), before)
    hash = (Math.imul(31, hash) + byte) | 0
  }
  return hash
}

function hashText(text: string, before: number): number {
  let hash = before
  for (let at = 0; at < text.length; at++) hash = (Math.imul(31, hash) + text.charCodeAt(at)) | 0
  return hash
}

/** Java's Math.abs, whose result for the smallest int is negative: 0 then. */
function positive(hash: number): number {
  return hash === -2_147_483_648 ? 0 : Math.abs(hash)
}
