/** A rule of this program did not hold: a bug. The process that throws it must not go on writing. */
export class BrokenRule extends Error {
  override readonly name = 'BrokenRule'
}

/**
 * States what cannot happen. On in production: a broker that is wrong stops, and recovery rereads the log.
 * @throws BrokenRule when condition is false
 */
export function assert(condition: unknown, rule: string): asserts condition {
  if (!condition) throw new BrokenRule(rule)
}
