import { Fields } from './fields.ts'

/** Which state of a table somebody has: equal when all three are. Source: Apache RocketMQ 5, DataVersion. */
export interface DataVersion {
  counter: number // one more with each change
  stateVersion: number // one more with each change of the master
  timestamp: number // ms, of the last change
}

export function readDataVersion(value: unknown): DataVersion {
  const fields = new Fields('DataVersion', value ?? {})
  return {
    counter: fields.integer('counter', 0),
    stateVersion: fields.integer('stateVersion', 0),
    timestamp: fields.integer('timestamp', 0),
  }
}

export function isSameDataVersion(a: DataVersion, b: DataVersion): boolean {
  return a.counter === b.counter && a.stateVersion === b.stateVersion && a.timestamp === b.timestamp
}
