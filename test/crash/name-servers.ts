import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { end, freePorts, launchRole, ourPeer, startCluster, tailOf } from '../peers/cluster.ts'
import { CrashLoad, type CrashReport } from './load.ts'

const acksPerLife = 200
const sendTimeoutMs = 2_000
const withBroker = 'both and the broker'

/**
 * Kills NameServers of ours with SIGKILL under load: either of two, both, and both with the broker. Clients that have routes go
 * on without any; after the broker died too, all of them find each other again.
 */
export async function killNameServers(options: { dir: string; kills: number }): Promise<CrashReport> {
  const cluster = await startCluster({ peer: ourPeer, dir: options.dir, flush: 'SYNC_FLUSH', startsBroker: false })
  const [port] = await freePorts()
  const logFile = join(options.dir, 'namesrv-2.out')
  let second: ChildProcess | undefined
  const startSecond = async () => {
    const env = { ...cluster.env, NAMESRV_PORT: String(port) }
    second = await launchRole({
      peer: ourPeer,
      role: 'namesrv',
      dir: join(options.dir, 'namesrv-2'),
      logFile,
      env,
      port,
    })
  }
  const killSecond = () => end(second, 'SIGKILL')
  const namesrvAddr = `${cluster.namesrv};127.0.0.1:${port}`
  cluster.env.NAMESRV = namesrvAddr
  const load = new CrashLoad(namesrvAddr, () => cluster.output() + tailOf(logFile), { sendTimeoutMs })
  const victims = [
    ['first', cluster.killNamesrv, cluster.startNamesrv],
    ['second', killSecond, startSecond],
    [
      'both',
      () => Promise.all([cluster.killNamesrv(), killSecond()]),
      () => Promise.all([cluster.startNamesrv(), startSecond()]),
    ],
    [
      withBroker,
      () => Promise.all([cluster.killNamesrv(), killSecond(), cluster.killBroker()]),
      () => Promise.all([cluster.startNamesrv(), startSecond(), cluster.startBroker()]),
    ],
  ] as const
  try {
    await startSecond()
    await cluster.startBroker()
    await load.start(cluster.brokerAddr)
    for (let kill = 0; kill < options.kills; kill++) {
      const [what, slay, revive] = victims[kill % victims.length]!
      load.killing(what)
      await slay()
      if (what !== withBroker) await load.more(acksPerLife) // nobody needs a NameServer to go on
      await revive()
      await load.more(acksPerLife)
    }
    await load.stop()
    await load.consumed()
    return await load.report(cluster.brokerAddr, options.kills)
  } finally {
    await load.close()
    await killSecond()
    await cluster.stop()
  }
}
