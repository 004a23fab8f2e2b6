import { pino } from 'pino'
import type { Log, LogFields } from '../log.ts'

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

/** One JSON object a line on standard error; standard output is left to what a command was asked to print. */
export function createLog(level: LogLevel = 'info', fields: LogFields = {}): Log {
  const destination = pino.destination({ fd: 2, sync: true }) // synchronous: the last line before a crash is not lost
  return wrap(
    pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      destination,
    ).child(fields),
  )
}

function wrap(logger: import('pino').Logger): Log {
  return {
    fatal: (fields, message) => logger.fatal(fields, message),
    error: (fields, message) => logger.error(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    info: (fields, message) => logger.info(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    trace: (fields, message) => logger.trace(fields, message),
    with: (fields) => wrap(logger.child(fields)),
  }
}
