/**
 * An index file is named by the time it is made, `yyyyMMddHHmmssSSS` in local time, as Apache names it; names are in the
 * order of the files even when the clock went back.
 */
export function nextIndexName(now: number, lastName: string | undefined): string {
  const date = new Date(now)
  const parts: [number, number][] = [
    [date.getFullYear(), 4],
    [date.getMonth() + 1, 2],
    [date.getDate(), 2],
    [date.getHours(), 2],
    [date.getMinutes(), 2],
    [date.getSeconds(), 2],
    [date.getMilliseconds(), 3],
  ]
  const name = parts.map(([value, digits]) => String(value).padStart(digits, '0')).join('')
  if (lastName === undefined || name > lastName) return name
  return String(BigInt(lastName) + 1n).padStart(17, '0')
}
