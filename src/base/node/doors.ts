import type { Doors } from '../doors.ts'
import type { Log } from '../log.ts'
import { nodeClock } from './clock.ts'
import { nodeFiles } from './files.ts'
import { nodeNetwork } from './network.ts'
import { nodeRandom } from './random.ts'

/** The real world: this machine's clock, disk, network and chance. */
export function nodeDoors(log: Log): Doors {
  return { clock: nodeClock, files: nodeFiles, network: nodeNetwork, random: nodeRandom, log }
}
