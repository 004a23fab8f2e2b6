import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { end, freePorts, launchRole, ourPeer, startCluster, tailOf } from '../peers/cluster.ts'
import { CrashLoad, type CrashReport, type Victim, victimsInTurn } from './load.ts'

const acksPerLife = 200
const sendTimeoutMs = 2_000

/**
 * Kills NameServers of ours with SIGKILL under load: either of two, both, and both with the broker. Clients that have routes go
 * on without any; after the broker died too, all of them find each other again.
 * @param options.kills of each NameServer; it takes a third more, since some hit both
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
  const untilAcked = () => load.more(acksPerLife) // nobody needs a NameServer to go on
  const victims: Victim[] = [
    {
      what: 'first',
      members: ['first NameServer'],
      slayAndRevive: async () => {
        await cluster.killNamesrv()
        await untilAcked()
        await cluster.startNamesrv()
      },
    },
    {
      what: 'second',
      members: ['second NameServer'],
      slayAndRevive: async () => {
        await killSecond()
        await untilAcked()
        await startSecond()
      },
    },
    {
      what: 'both',
      members: ['first NameServer', 'second NameServer'],
      slayAndRevive: async () => {
        await Promise.all([cluster.killNamesrv(), killSecond()])
        await untilAcked()
        await Promise.all([cluster.startNamesrv(), startSecond()])
      },
    },
    {
      what: 'both and the broker',
      members: ['first NameServer', 'second NameServer'],
      slayAndRevive: async () => {
        await Promise.all([cluster.killNamesrv(), killSecond(), cluster.killBroker()])
        await Promise.all([cluster.startNamesrv(), startSecond(), cluster.startBroker()])
      },
    },
  ]
  const deaths = new Map<string, number>()
  try {
    await startSecond()
    await cluster.startBroker()
    await load.start(cluster.brokerAddr)
    for (const { what, slayAndRevive } of victimsInTurn(victims, options.kills, deaths)) {
      load.killing(what)
      await slayAndRevive()
      await load.more(acksPerLife)
    }
    await load.stop()
    await load.consumed()
    return await load.report(cluster.brokerAddr, deaths)
  } finally {
    await load.close()
    await killSecond()
    await cluster.stop()
  }
}
