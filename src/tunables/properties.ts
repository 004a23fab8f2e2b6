/** One entry of a properties text, and where it stands, for messages such as `broker.conf:12`. */
export interface Property {
  readonly value: string
  readonly from: string
}

/** Settings by key, as they were written: nothing is checked yet. */
export type Properties = Map<string, Property>

/**
 * Reads the format of java.util.Properties: `#` and `!` comments, `=`, `:` or blanks between key and value, a backslash
 * at a line's end that joins it with the next, and the escapes \t \n \r \f \uXXXX. The last entry of a key wins.
 * @param source name of the text, for the entries' `from`
 */
export function readProperties(text: string, source: string): Properties {
  const properties: Properties = new Map()
  const lines = text.split(/\r\n|\n|\r/)
  for (let index = 0; index < lines.length; index++) {
    const from = `${source}:${index + 1}`
    let line = trimStart(lines[index]!)
    if (line === '' || line[0] === '#' || line[0] === '!') continue
    while (endsInOddBackslash(line)) line = line.slice(0, -1) + trimStart(lines[++index] ?? '')
    const { key, value } = split(line)
    properties.set(unescaped(key), { value: unescaped(value), from })
  }
  return properties
}

/** `key=value` lines, in the order given, that readProperties and Java read back as they were. */
export function writeProperties(entries: Iterable<readonly [key: string, value: string]>): string {
  let text = ''
  for (const [key, value] of entries) {
    text += `${escaped(key, /[\\\t\n\r\f =:#!]/g)}=${escaped(value, /^ |[\\\t\n\r\f]/g)}\n`
  }
  return text
}

function trimStart(line: string): string {
  return line.replace(/^[ \t\f]+/, '')
}

function endsInOddBackslash(line: string): boolean {
  return /\\*$/.exec(line)![0].length % 2 === 1
}

function split(line: string): { key: string; value: string } {
  const [whole, key] = /^((?:\\.|[^\\ \t\f=:])*)[ \t\f]*[=:]?[ \t\f]*/s.exec(line) as unknown as [string, string]
  return { key, value: line.slice(whole.length) }
}

const escapes: Record<string, string> = { t: '\t', n: '\n', r: '\r', f: '\f' }
const letters: Record<string, string> = { '\t': 't', '\n': 'n', '\r': 'r', '\f': 'f' }

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.)|$)/gs, (_, hex: string | undefined, char: string | undefined) =>
    hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : (escapes[char ?? ''] ?? char ?? ''),
  )
}

function escaped(text: string, special: RegExp): string {
  return text.replace(special, (char) => `\\${letters[char] ?? char}`)
}
