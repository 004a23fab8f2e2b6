import { appendProperty, formatProperties, parseProperties } from '../../remoting/message/index.ts'

/** The text with these properties set: appended where none of them is there yet, which is the rule, else rewritten. */
export function setProperties(text: string, changes: readonly (readonly [name: string, value: string])[]): string {
  if (!changes.some(([name]) => text.includes(`${name}\u0001`))) {
    let longer = text
    for (const [name, value] of changes) longer = appendProperty(longer, name, value)
    return longer
  }
  const properties = parseProperties(text)
  for (const [name, value] of changes) properties.set(name, value)
  return formatProperties(properties)
}

export function removeProperty(text: string, name: string): string {
  if (!text.includes(`${name}\u0001`)) return text
  const properties = parseProperties(text)
  properties.delete(name)
  return formatProperties(properties)
}

/** The message's delay level; 0: none, or not a number. */
export function delayLevelOf(delay: string | undefined): number {
  const level = delay === undefined ? 0 : Number(delay)
  return Number.isInteger(level) && level > 0 ? level : 0
}
