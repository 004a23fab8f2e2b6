export type LogFields = Record<string, unknown>

/**
 * Structured log: a constant message, facts as fields; never a body, a key or a secret.
 * fatal: the process ends. error: a person must act. warn: worse, but healing. info: a state changed. debug: each
 * request and step. trace: each frame.
 */
export interface Log {
  fatal(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  debug(fields: LogFields, message: string): void
  trace(fields: LogFields, message: string): void
  /** A log whose every line has these fields too, such as `component`. */
  with(fields: LogFields): Log
}

const nothing = () => {}

/** Says nothing; for tests. */
export const silentLog: Log = {
  fatal: nothing,
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  trace: nothing,
  with: () => silentLog,
}

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

/** One line of the log: a JSON object, whatever the fields hold. */
export function lineOf(level: LogLevel, time: string, fields: LogFields, msg: string): string {
  const line = { level, time, ...fields, msg }
  try {
    return `${JSON.stringify(line, plain)}\n`
  } catch (error) {
    // A cycle, or a getter that throws. A line without its facts is better than none, and than a crash for its sake.
    return `${JSON.stringify({ level, time, msg, unwritable: String(error) })}\n`
  }
}

/** Errors and large integers have no JSON of their own. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  return { type: name, message, stack, ...(cause !== undefined && { cause }) }
}
