import { ourPeer, startCluster } from '../peers/cluster.ts'
import { CrashLoad, type CrashReport } from './load.ts'

/** Acknowledged sends between two kills, at least: a kill that hits an idle broker shows nothing. */
const acksPerLife = 400
const sendTimeoutMs = 2_000
/** A stop that has only writers and a consumer to wait for; Kubernetes gives it 60 s. */
const stopMsMax = 10_000

/**
 * Kills a broker of ours with SIGKILL again and again under load, or stops it with SIGTERM, then reads every queue from its start and holds it against
 * what was acknowledged: each such message lies where its sender was told, every body is whole, queue offsets have no gap, each
 * writer's messages are in its order, and the consumer got them all. A stop answers every message that it stores, so that no
 * producer sends it again.
 */
export async function killUnderLoad(options: {
  dir: string
  flush: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  kills: number
  by?: 'SIGKILL' | 'SIGTERM'
}): Promise<CrashReport> {
  const isStop = options.by === 'SIGTERM'
  let stopMs = 0
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
      const startedMs = performance.now()
      await (isStop ? cluster.stopBroker() : cluster.killBroker())
      stopMs = Math.max(stopMs, performance.now() - startedMs)
      await cluster.startBroker()
    }
    await load.more(acksPerLife)
    await load.stop()
    await load.consumed()
    const report = await load.report(cluster.brokerAddr, new Map([['master', options.kills]]))
    if (!isStop) return report
    const { problems, duplicates } = report
    if (duplicates > 0) problems.push(`${duplicates} messages were stored, not answered, and sent again`)
    if (stopMs > stopMsMax) problems.push(`a stop took ${Math.round(stopMs)} ms`)
    return report
  } finally {
    await load.close()
    await cluster.stop()
  }
}
