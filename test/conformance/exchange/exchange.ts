import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseOffsetMsgId } from '../../../src/remoting/message/index.ts'
import { ourPeer, type Peer, patientBroker, startCluster } from '../../peers/cluster.ts'
import { differences, Ledger, takeSnapshot } from './ledger.ts'
import { type Stage, startStage } from './stage.ts'
import { sendDelayed, underLoad, work } from './work.ts'

const segmentBytes = 4 << 20
const checkpointTimeoutMs = 30_000
const loadCountMin = 1_500
/** The longer delay: what is sent with it at the end of a turn is due in the next broker's. */
const longDelayLevel = 3

/** How a broker ends before the next one takes its directory. */
export type Ending = 'stopped' | 'killed under load'

/**
 * Lets one broker after the other have the same store directory. Each must show everything that was acknowledged or set
 * before, at its place, and go on from there.
 * @returns what was wrong
 */
export async function exchangeCase(peers: readonly Peer[], ending: Ending, dir: string): Promise<string[]> {
  const cluster = await startCluster({
    peer: ourPeer, // the NameServer; brokers come and go on one port, so that their names of messages stay true
    dir,
    startsBroker: false,
    env: { BROKER_XMS: '512m', BROKER_XMX: '512m' },
    brokerConf: {
      autoCreateTopicEnable: 'false',
      ...patientBroker,
      flushConsumerOffsetInterval: '1000',
      // small files, so that several of each kind change hands
      mappedFileSizeCommitLog: String(segmentBytes),
      mappedFileSizeConsumeQueue: String(20 * 100),
      maxHashSlotNum: '1000',
      maxIndexNum: '2000',
    },
  })
  const ledger = new Ledger()
  const problems: string[] = []
  let stage: Stage | undefined
  try {
    for (const [turn, peer] of peers.entries()) {
      const where = `${turn + 1}. ${peer.name}`
      stage = await startStage(cluster, peer, join(dir, `${turn + 1}-${peer.name}`), stage?.store)
      if (turn > 0) problems.push(...(await differences(stage, ledger)).map((text) => `${where}, started: ${text}`))
      await work(stage, ledger, turn)
      if (turn < peers.length - 1) await endTurn(stage, ledger, turn, ending)
      else problems.push(...(await differences(stage, ledger)).map((text) => `${where}, after more: ${text}`))
      await stage.close()
    }
    return problems
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${problems.join('\n')}\n${stage?.output() ?? ''}`)
  } finally {
    await stage?.close()
    await cluster.stop()
  }
}

async function endTurn(stage: Stage, ledger: Ledger, turn: number, ending: Ending): Promise<void> {
  await takeSnapshot(stage, ledger)
  if (ending !== 'stopped') await checkpointed(stage)
  await sendDelayed(stage, ledger, turn, longDelayLevel)
  const load = await underLoad(stage, ledger, turn, loadCountMin)
  if (ending === 'stopped') await load.over()
  await stage.end(ending === 'stopped' ? 'SIGTERM' : 'SIGKILL')
  if (ending !== 'stopped') {
    ledger.killedAt = Date.now()
    ledger.lastSegmentAtKill = Math.floor(lastPhyOffset(ledger) / segmentBytes) * segmentBytes
  }
  await load.over()
}

/** A checkpoint makes the next start read less of the log: only then does it matter what else the files say. */
async function checkpointed(stage: Stage): Promise<void> {
  const path = join(stage.store, 'checkpoint')
  const isWritten = () => existsSync(path) && readFileSync(path).readBigInt64BE(0) > 0n
  for (const until = Date.now() + checkpointTimeoutMs; !isWritten(); await stage.pause(100)) {
    if (Date.now() > until) throw new Error(`no checkpoint was written within ${checkpointTimeoutMs} ms`)
  }
}

function lastPhyOffset({ sent }: Ledger): number {
  const ids = sent.flatMap(({ offsetMsgId }) => offsetMsgId ?? [])
  return Math.max(...ids.map((id) => parseOffsetMsgId(id).phyOffset))
}
