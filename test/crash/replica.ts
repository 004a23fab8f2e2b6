import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RemotingClient } from '../../src/remoting/client.ts'
import { ourPeer } from '../peers/cluster.ts'
import { type Group, startGroup } from '../peers/group.ts'
import { CrashLoad, type CrashReport, type Victim, victimsInTurn } from './load.ts'

const segmentBytes = 4 << 20
const acksPerLife = 300
const sendTimeoutMs = 5_000
/** How long the master is left without its slave before it is killed. */
const aloneMs = 500
const linkTimeoutMs = 30_000

/**
 * Kills the master, the slave, and both at once of a SYNC_MASTER group in turn under load. Then the master's process and disk
 * go, and the slave alone is asked: it has every message that was acknowledged with SEND_OK, where its sender was told, and
 * before that its log was the master's, byte for byte.
 * @param options.kills of each of the two; it takes half as many kills more, since some hit both
 * @returns stored: what the slave has
 */
export async function killReplicas(options: {
  dir: string
  flush: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  kills: number
}): Promise<CrashReport> {
  const group = await startGroup({
    peer: ourPeer,
    slavePeer: ourPeer,
    dir: options.dir,
    flush: options.flush,
    env: { BROKER_ROLE: 'SYNC_MASTER' },
    brokerConf: {
      inSyncReplicas: '2',
      slaveReadEnable: 'true',
      mappedFileSizeCommitLog: String(segmentBytes),
      mappedFileSizeConsumeQueue: String(20 * 2000),
    },
  })
  const load = new CrashLoad(group.namesrv, () => group.output(), { sendTimeoutMs })
  const victims: Victim[] = [
    {
      what: 'master',
      members: ['master'],
      slayAndRevive: async () => {
        await group.killBroker()
        await group.startBroker()
      },
    },
    {
      what: 'slave',
      members: ['slave'],
      slayAndRevive: async () => {
        await group.killSlave()
        await group.startSlave()
      },
    },
    {
      what: 'both',
      members: ['master', 'slave'],
      slayAndRevive: async () => {
        await Promise.all([group.killBroker(), group.killSlave()])
        await Promise.all([group.startBroker(), group.startSlave()])
      },
    },
  ]
  const deaths = new Map<string, number>()
  try {
    await load.start(group.brokerAddr)
    for (const { what, slayAndRevive } of victimsInTurn(victims, options.kills, deaths)) {
      await load.more(acksPerLife)
      load.killing(what)
      await slayAndRevive()
    }
    await load.more(acksPerLife)
    await load.consumed()
    // In the middle of it the slave goes first: whatever the master still acknowledges is on one disk only.
    await group.killSlave()
    await sleep(aloneMs)
    await group.killBroker()
    await load.stop()

    const problems = differenceOfLogs(group)
    rmSync(group.masterStore, { recursive: true })
    // the slave, alone, from its disk
    await group.startSlave()
    const report = await load.report(group.slaveAddr, deaths)
    return { ...report, problems: [...problems, ...report.problems] }
  } finally {
    await load.close()
    await group.stop()
  }
}

/** Waits until the master counts a slave that has all it has, or lacks no more than that. */
export async function awaitInSync(group: Group, remoting: RemotingClient, lagBytesMax = 0): Promise<void> {
  const until = Date.now() + linkTimeoutMs
  for (;;) {
    const { body } = await remoting.call(group.brokerAddr, { code: 907, extFields: {} }, 5_000)
    const { haConnectionInfo } = JSON.parse(body.toString()) as { haConnectionInfo: { diff: number }[] }
    if (haConnectionInfo.some(({ diff }) => diff <= lagBytesMax)) return
    if (Date.now() > until) throw new Error(`no slave in sync within ${linkTimeoutMs} ms\n${group.output()}`)
    await sleep(50)
  }
}

/** The slave's log must be a prefix of the master's: it may have less, never other bytes. */
export function differenceOfLogs({ masterStore, slaveStore }: Group): string[] {
  const problems: string[] = []
  for (const name of readdirSync(join(slaveStore, 'commitlog')).sort()) {
    const own = readFileSync(join(slaveStore, 'commitlog', name))
    const end = own.findLastIndex((byte) => byte !== 0) + 1
    if (end === 0) continue // Apache's broker makes the next segment before it is needed
    const path = join(masterStore, 'commitlog', name)
    if (!existsSync(path)) {
      problems.push(`the slave has a segment ${name} that the master lacks`)
      continue
    }
    const theirs = readFileSync(path)
    const first = own.subarray(0, end).findIndex((byte, index) => byte !== theirs[index])
    if (first >= 0) {
      problems.push(`the slave's segment ${name} differs from the master's at ${first} of ${end}`)
    }
  }
  return problems
}
