import type { Clock } from './clock.ts'
import type { Files } from './files.ts'
import type { Log } from './log.ts'
import type { Network } from './network.ts'
import type { Random } from './random.ts'

/** What a module is given instead of reaching for it: production passes base/node, tests what they need. */
export interface Doors {
  clock: Clock
  files: Files
  network: Network
  random: Random
  log: Log
}
