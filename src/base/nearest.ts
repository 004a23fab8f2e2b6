/**
 * The word of words that somebody who wrote `written` most likely meant; undefined when none is close: more than a
 * third of its letters differ. Case counts for nothing.
 */
export function nearest(written: string, words: Iterable<string>): string | undefined {
  const target = written.toLowerCase()
  let best: string | undefined
  let bestDistance = Math.floor(Math.max(3, target.length) / 3) + 1
  for (const word of words) {
    if (Math.abs(word.length - target.length) >= bestDistance) continue
    const distance = editDistance(target, word.toLowerCase())
    if (distance < bestDistance) {
      best = word
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein: how many letters to insert, delete or replace, by rows of the classic table. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
