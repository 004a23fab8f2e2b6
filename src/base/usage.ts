import { type ParseArgsConfig, parseArgs } from 'node:util'
import { messageOf } from './errors.ts'

/** Somebody called the program in a way it does not know: exit code 2, with this text and where help is. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads a command line. @throws UsageError: an unknown flag, or one without its value */
export function parseFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}
