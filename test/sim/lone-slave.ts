import type { Unit } from './cluster.ts'
import type { SeededRandom } from './doors/random.ts'
import type { Faults } from './faults.ts'
import type { History } from './history.ts'
import { recordAt } from './rules.ts'
import type { Scenario } from './scenario.ts'
import type { World } from './world.ts'

/** Two restarts of a broker that lost its power, and what a slave takes to find its master. */
const followMsMax = 60_000
/** Longer than slaveTimeout: a send that waits in vain is answered within. */
const aloneMs = 8_000

/** Whether one of two slaves is enough, so that the other one must not be missed. */
export function mayLackSlave({ brokerRole, slaves, inSyncReplicas }: Scenario): boolean {
  return brokerRole === 'SYNC_MASTER' && slaves === 2 && inSyncReplicas === 2
}

/**
 * Before anything else goes wrong, one of two slaves is cut off from its master, which waits for one alone: sends go on, and none is
 * answered as if a slave were missing. Availability is all that this is about; brokenPromise looks after what an answer promises.
 */
export async function lackSlave(
  world: World,
  scenario: Scenario,
  slaves: readonly Unit[],
  faults: Faults,
  history: History,
  random: SeededRandom,
): Promise<void> {
  const { timeline, trace, problems } = world
  let areFollowing = false
  history.onAck.push((_, { phyOffset }) => {
    if (areFollowing || phyOffset === undefined) return
    areFollowing = slaves.every(({ machine }) => typeof recordAt(scenario, machine, phyOffset, false) !== 'string')
  })
  await timeline.run(timeline.nowMs + followMsMax, () => problems.length > 0 || areFollowing)
  if (problems.length > 0) return
  if (!areFollowing) return world.problem(`no message came to both slaves within ${followMsMax} ms`)

  const slave = random.one(slaves)
  const cutAtMs = timeline.nowMs
  let okCount = 0
  trace.add('world', `goes on without ${slave.name}`)
  faults.cutOffFromMaster(slave, aloneMs)
  history.onAck.push((sent, { atMs, status }) => {
    if (!sent.waitsForFlush || sent.atMs < cutAtMs || atMs >= cutAtMs + aloneMs) return
    if (status === 'SEND_OK') okCount++
    if (status !== 'FLUSH_SLAVE_TIMEOUT' && status !== 'SLAVE_NOT_AVAILABLE') return
    world.problem(`${sent.key} was answered ${status}, though only ${slave.name} was cut off and one slave is enough`)
  })
  await timeline.run(timeline.nowMs + aloneMs, () => problems.length > 0)
  if (problems.length === 0 && okCount === 0) {
    world.problem(`no send was answered SEND_OK in ${aloneMs} ms without ${slave.name}, and one slave is enough`)
  }
}
