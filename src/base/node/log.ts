import { writeSync } from 'node:fs'
import { type Log, type LogFields, type LogLevel, lineOf, logLevels } from '../log.ts'

export { type LogLevel, logLevels } from '../log.ts'

/** One JSON object a line on standard error; standard output is left to what a command was asked to print. */
export function createLog(level: LogLevel = 'info', fields: LogFields = {}): Log {
  const said = (at: LogLevel) =>
    logLevels.indexOf(at) > logLevels.indexOf(level)
      ? () => {}
      : (more: LogFields, message: string) =>
          writeLine(lineOf(at, new Date().toISOString(), { ...fields, ...more }, message))
  return {
    fatal: said('fatal'),
    error: said('error'),
    warn: said('warn'),
    info: said('info'),
    debug: said('debug'),
    trace: said('trace'),
    with: (more) => createLog(level, { ...fields, ...more }),
  }
}

/**
 * Synchronous: the last line before a crash is not lost. A reader that is slow delays it, one that is gone loses it: the
 * process goes on either way.
 */
function writeLine(line: string): void {
  let rest = Buffer.from(line)
  for (let tries = 0; rest.length > 0 && tries < writeTriesMax; tries++) {
    try {
      rest = rest.subarray(writeSync(2, rest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return // a closed pipe, a full disk: nobody could be told
      Atomics.wait(pause, 0, 0, writePauseMs)
    }
  }
}

const writePauseMs = 5
const writeTriesMax = 200 // a second for one line
const pause = new Int32Array(new SharedArrayBuffer(4))
