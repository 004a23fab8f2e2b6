import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { RequestCode, ResponseCode } from '../../src/remoting/codes.ts'
import { sendFields } from '../../src/remoting/testing/requests.ts'
import { ourPeer, startCluster } from '../peers/cluster.ts'
import { CrashLoad, type CrashReport, topic } from './load.ts'

const run = promisify(execFile)
const commandTimeoutMs = 30_000
/** Small enough to be full before the broker looks, after 10 s, how full it is: so the system says it first. */
const volumeMiB = 128
/** What is on the volume besides the store; room comes back when it goes. */
const ballastMiB = 48
const segmentBytes = 8 << 20
const bodyBytesMin = 32 << 10
const acksBefore = 200
const acksAfter = 400
const fullTimeoutMs = 90_000
const refusedForMs = 3_000
/** The broker looks at the volume every 10 s. */
const roomTimeoutMs = 30_000

/**
 * Fills a volume of its own under load until the system says that there is no space left. Sends are refused and reads go on; the
 * broker, killed and started on the full volume, serves reads too; and after room was made sends go on by themselves. As root.
 * @param kind of file system: one on a loop device, or one in memory
 */
export async function fillDisk(options: { dir: string; kind: 'ext4' | 'tmpfs' }): Promise<CrashReport> {
  const store = join(options.dir, 'broker/store')
  const unmount = await mountVolume(options.kind, options.dir, store)
  try {
    return await fillStore(options.dir, store)
  } finally {
    await unmount()
  }
}

async function fillStore(dir: string, store: string): Promise<CrashReport> {
  const ballast = join(store, 'ballast')
  writeFileSync(ballast, Buffer.alloc(ballastMiB << 20, 1))
  const cluster = await startCluster({
    peer: ourPeer,
    dir,
    flush: 'SYNC_FLUSH',
    brokerConf: {
      mappedFileSizeCommitLog: String(segmentBytes),
      mappedFileSizeConsumeQueue: String(20 * 200),
      maxHashSlotNum: '1000',
      maxIndexNum: '2000',
      cleanFileForciblyEnable: 'false', // the oldest messages would go instead
    },
  })
  const load = new CrashLoad(cluster.namesrv, () => cluster.output(), { sendTimeoutMs: 2_000, bodyBytesMin })
  const problems: string[] = []
  try {
    await load.start(cluster.brokerAddr)
    await load.more(acksBefore)
    await fills(load, `${ballast}-2`)
    load.killing('full')
    const isFull = (text: string) => /STORE_FULL/.test(text)
    problems.push(...(await refusal(load, cluster.brokerAddr, isFull)).map((text) => `full: ${text}`))
    await load.consumed()
    problems.push(...(await load.report(cluster.brokerAddr, new Map())).problems.map((text) => `full: ${text}`))

    await cluster.killBroker()
    await cluster.startBroker()
    problems.push(...(await refusal(load, cluster.brokerAddr, isFull)).map((text) => `full, started: ${text}`))
    problems.push(
      ...(await load.report(cluster.brokerAddr, new Map())).problems.map((text) => `full, started: ${text}`),
    )

    const acked = load.acked.size
    rmSync(ballast)
    rmSync(`${ballast}-2`)
    load.killing('room is there again')
    for (const until = Date.now() + roomTimeoutMs; load.acked.size < acked + acksAfter; await sleep(50)) {
      if (Date.now() > until) {
        throw new Error(
          `${load.acked.size - acked} sends since there is room, ${roomTimeoutMs} ms\n${cluster.output()}`,
        )
      }
    }
    await load.stop()
    await load.consumed()
    const report = await load.report(cluster.brokerAddr, new Map([['master', 1]]))
    return { ...report, problems: [...problems, ...report.problems] }
  } finally {
    await load.close()
    await cluster.stop()
  }
}

/** @returns what unmounts it */
async function mountVolume(kind: 'ext4' | 'tmpfs', dir: string, at: string): Promise<() => Promise<void>> {
  mkdirSync(at, { recursive: true })
  const command = (name: string, ...args: string[]) => run(name, args, { timeout: commandTimeoutMs })
  if (kind === 'tmpfs') await command('mount', '-t', 'tmpfs', '-o', `size=${volumeMiB}m`, 'none', at)
  else {
    const image = join(dir, 'volume.img')
    await command('truncate', '-s', `${volumeMiB}M`, image)
    await command('mkfs.ext4', '-q', '-m', '0', image)
    await command('mount', '-o', 'loop', image, at)
  }
  return async () => {
    await command('umount', at)
  }
}

/** Returns when no send has been acknowledged for a while; where the broker left room, since it looked in time, that is filled. */
async function fills(load: CrashLoad, rest: string): Promise<void> {
  const until = Date.now() + fullTimeoutMs
  let acked = load.acked.size
  for (let refusedMs = 0; refusedMs < refusedForMs; refusedMs += 100) {
    await sleep(100)
    if (load.acked.size > acked) refusedMs = 0
    acked = load.acked.size
    if (Date.now() > until) throw new Error(`${load.acked.size} sends have not filled the volume`)
  }
  try {
    for (const chunk = Buffer.alloc(64 << 10, 1); ; ) writeFileSync(rest, chunk, { flag: 'a' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

async function refusal(load: CrashLoad, brokerAddr: string, isRight: (remark: string) => boolean): Promise<string[]> {
  const request = {
    code: RequestCode.SEND_MESSAGE_V2,
    extFields: sendFields({ topic }),
    body: Buffer.alloc(bodyBytesMin),
  }
  const { code, remark = '' } = await load.remoting.call(brokerAddr, request, 5_000)
  const isSame = code === ResponseCode.SERVICE_NOT_AVAILABLE && isRight(remark)
  return isSame ? [] : [`a send is answered ${code} ${remark}`]
}
