import { silentLog } from '../../base/log.ts'
import type { Machine, Properties } from '../index.ts'

/** A machine whose paths are taken as they are, and which names no NameServer. */
export const testMachine: Machine = {
  hostName: 'box',
  address: '127.0.0.1',
  namesrvAddr: undefined,
  path: (path) => path,
  log: silentLog,
}

/** Settings as a file would give them. */
export function propertiesOf(given: Record<string, unknown>): Properties {
  return new Map(Object.entries(given).map(([key, value]) => [key, { value: String(value), from: 'test' }]))
}
