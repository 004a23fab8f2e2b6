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
