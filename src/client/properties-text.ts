/** Reads `key=value` lines as brokers print their settings: # and ! begin a comment, a backslash keeps what follows it. */
export function readPropertiesText(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!=\s][^=]*?)\s*=\s*(.*)$/s.exec(line)
    if (match) properties.set(match[1]!, match[2]!.replace(/\\(.)/gs, '$1'))
  }
  return properties
}

/** Writes lines that java.util.Properties reads as these values. */
export function writePropertiesText(properties: Iterable<readonly [string, string]>): string {
  let text = ''
  for (const [key, value] of properties) text += `${escaped(key).replace(/([:= ])/g, '\\$1')}=${escaped(value)}\n`
  return text
}

function escaped(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/\r/g, '\\r')
}
