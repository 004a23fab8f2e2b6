import { isOperatingError } from '../../../base/errors.ts'

/** What is said of an error that ended a look into a store. */
export function failureText(command: string, error: unknown): string {
  if (!isOperatingError(error)) {
    const stack = error instanceof Error ? error.stack : String(error)
    return `${command} failed by a mistake of this program, and says nothing about the store. Please report it:\n${stack}`
  }
  if (error.code !== 'FILE_FAILED') return error.message
  const { operation, path, code } = error.facts
  const gone = 'it went while it was read: a broker that is at work may remove files; try again'
  return `cannot ${operation} ${path}: ${code === 'ENOENT' ? gone : code}`
}
