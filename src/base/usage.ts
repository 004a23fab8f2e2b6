/** Somebody called the program in a way it does not know: exit code 2, with this text and where help is. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
