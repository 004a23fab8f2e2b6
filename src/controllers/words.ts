/** What is said of one, or of several or none. */
export function ofOne<T>(count: number, one: T, several: T): T {
  return count === 1 ? one : several
}
