import { readFileSync } from 'node:fs'
import type { ParseArgsConfig, parseArgs } from 'node:util'
import { parseFlags, UsageError } from '../src/base/usage.ts'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values']

/**
 * Reads the command line of a tool of this repository. With --help it prints the usage, which is the comment that the tool's
 * file begins with, and ends; a flag that the tool does not know ends it too, with a line that names the flag and exit code 2.
 * @param file of the tool: import.meta.filename
 */
export function readFlags<const T extends Options>(file: string, options: T): Values<T> {
  try {
    const { values } = parseFlags({ options: { ...options, help: { type: 'boolean', short: 'h' } } })
    if (!('help' in values)) return values as Values<T>
    console.log(usageOf(file))
    process.exit(0)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const [what] = error.message.split(/\. |\.?\n/) // what follows is advice on positional arguments, of which tools have none
    console.error(`${what}: --help tells the flags`)
    process.exit(2)
  }
}

/** A flag's whole number, at least min; what is none ends the tool with a line that names the flag and exit code 2. */
export function wholeNumber(name: string, text: string, min = 1): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= min) return Number(text)
  console.error(`--${name} wants a whole number from ${min} on, got "${text}": --help tells the flags`)
  process.exit(2)
}

function usageOf(file: string): string {
  const [, comment] = /^\/\*\*\n(.*?)\n \*\//s.exec(readFileSync(file, 'utf8'))!
  return comment!.replaceAll(/^ \* ?/gm, '')
}
