import { ourPeer, startCluster } from '../peers/cluster.ts'
import { CrashLoad, type CrashReport } from './load.ts'

/** Acknowledged sends between two kills, at least: a kill that hits an idle broker shows nothing. */
const acksPerLife = 400
const sendTimeoutMs = 2_000

/**
 * Kills a broker of ours with SIGKILL again and again under load, then reads every queue from its start and holds it against
 * what was acknowledged: each such message lies where its sender was told, every body is whole, queue offsets have no gap, each
 * writer's messages are in its order, and the consumer got them all.
 */
export async function killUnderLoad(options: {
  dir: string
  flush: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  kills: number
}): Promise<CrashReport> {
  const cluster = await startCluster({
    peer: ourPeer,
    dir: options.dir,
    flush: options.flush,
    // small segments, so that kills also come near the end of one
    brokerConf: { mappedFileSizeCommitLog: String(4 << 20), mappedFileSizeConsumeQueue: String(20 * 2000) },
  })
  const load = new CrashLoad(cluster.namesrv, () => cluster.output(), { sendTimeoutMs })
  try {
    await load.start(cluster.brokerAddr)
    for (let kill = 0; kill < options.kills; kill++) {
      await load.more(acksPerLife)
      load.killing('master')
      await cluster.killBroker()
      await cluster.startBroker()
    }
    await load.more(acksPerLife)
    await load.stop()
    await load.consumed()
    return await load.report(cluster.brokerAddr, options.kills)
  } finally {
    await load.close()
    await cluster.stop()
  }
}
