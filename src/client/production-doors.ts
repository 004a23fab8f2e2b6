import type { Doors } from '../base/doors.ts'
import { createLog, nodeDoors } from '../base/node/index.ts'

let shared: Doors | undefined

/** The doors of those who give none: the real world, with warnings and worse logged to standard error. */
export function productionDoors(): Doors {
  shared ??= nodeDoors(createLog('warn', { component: 'client' }))
  return shared
}
