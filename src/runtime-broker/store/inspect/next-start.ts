import type { Clock } from '../../../base/clock.ts'
import { isOperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import type { Log, LogFields } from '../../../base/log.ts'
import { silentLog } from '../../../base/log.ts'
import { readCheckpoint } from '../checkpoint.ts'
import { CommitLog } from '../commit-log.ts'
import { ConsumeQueues } from '../consume-queues.ts'
import { DeletedTopics } from '../deleted-topics.ts'
import type { IndexShape } from '../key-index/index-file.ts'
import { KeyIndex } from '../key-index/key-index.ts'
import { recover } from '../recovery.ts'
import { DryFiles } from './dry-files.ts'
import type { Finding } from './findings.ts'

/** Where things of a store lie, and how large its files are. */
export interface StorePlan {
  rootDir: string
  commitLogDir: string
  segmentBytes: number
  consumeQueueFileBytes: number
  /** undefined: there is no index that could be read. */
  index: IndexShape | undefined
}

/** What the next start of our broker would do with a directory as it is. */
export interface NextStart {
  /** Why it would not start. */
  refusal: string | undefined
  /** Where the log would end; what lies behind is put aside. */
  endOffset: number
  rebuildsQueues: boolean
  /** Index files that would be made again. */
  indexFilesRemoved: number
  /** What it would log, oldest first. */
  steps: string[]
}

/** Runs the recovery of the next start, on a disk that it cannot change. */
export async function foreseeStart(
  plan: StorePlan,
  { files, clock }: { files: Files; clock: Clock },
): Promise<NextStart> {
  const dry = new DryFiles(files)
  const steps: string[] = []
  const say = (fields: LogFields, message: string) => void steps.push(`${message}${factsOf(fields, plan)}`)
  const log: Log = { ...silentLog, info: say, warn: say, error: say }
  const start: NextStart = { refusal: undefined, endOffset: 0, rebuildsQueues: false, indexFilesRemoved: 0, steps }
  const indexDirectory = `${plan.rootDir}/index`
  const indexFiles = dry.list(indexDirectory).filter(({ isDirectory }) => !isDirectory)
  let commitLog: CommitLog | undefined
  let queues: ConsumeQueues | undefined
  let index: KeyIndex | undefined
  try {
    commitLog = new CommitLog(dry, plan.commitLogDir, plan.segmentBytes, plan.segmentBytes)
    queues = queuesOf(plan, { files: dry, clock, log })
    const checkpoint = readCheckpoint(dry, `${plan.rootDir}/checkpoint`)
    const wasClean = !dry.exists(`${plan.rootDir}/abort`)
    const { endOffset } = await recover({
      commitLog,
      queues,
      deleted: new DeletedTopics(dry, `${plan.rootDir}/deleted-topics.json`, commitLog.minOffset),
      checkpoint,
      wasClean,
      checkCrc: true,
      delayLevelsMs: [],
      tornDirectory: `${plan.rootDir}/torn`,
      files: dry,
      log,
    })
    start.endOffset = endOffset
    start.rebuildsQueues = dry.isGone(`${plan.rootDir}/consumequeue`)
    if (plan.index !== undefined) {
      index = new KeyIndex({ directory: indexDirectory, shape: plan.index }, commitLog, { files: dry, clock, log })
      const { indexMsgTimestamp } = checkpoint
      await index.load({ wasClean, saved: checkpoint.index, indexMsgTimestamp }, endOffset)
      start.indexFilesRemoved = indexFiles.filter(({ name }) => dry.isGone(`${indexDirectory}/${name}`)).length
    }
  } catch (error) {
    if (!isOperatingError(error) || error.code === 'FILE_FAILED') throw error // that is why it cannot be told
    start.refusal = error.message
  } finally {
    index?.close()
    queues?.close()
    commitLog?.segments.close()
  }
  return start
}

export function queuesOf(plan: StorePlan, doors: { files: Files; clock: Clock; log: Log }): ConsumeQueues {
  const fileBytes = plan.consumeQueueFileBytes
  return new ConsumeQueues({ directory: `${plan.rootDir}/consumequeue`, fileBytes, flushIntervalMs: 1000 }, doors)
}

function factsOf(fields: LogFields, { rootDir }: StorePlan): string {
  const facts = Object.entries(fields).map(([key, value]) => `${key}=${String(value).replace(`${rootDir}/`, '')}`)
  return facts.length === 0 ? '' : ` (${facts.join(', ')})`
}

/**
 * What would become of a finding.
 * @param isDamaged the log does not say all that was made from it: what is made again from it ends or has a gap there
 */
export function remedyOf({ kind, phyOffset = 0 }: Finding, start: NextStart, isDamaged: boolean): string {
  if (kind === 'layout') return 'the broker does not start: put right or move away what is named here'
  if (kind === 'table') {
    return "the broker starts without these topics, or not at all: put the table right, from a copy or a slave's config/"
  }
  if (kind === 'unread') return 'not foreseen'
  if (kind === 'stray') return 'stays: no start looks at it'
  if (start.refusal !== undefined) return 'not before it starts'
  const isCut = phyOffset >= start.endOffset
  const removeAndStart = (directory: string) =>
    isDamaged
      ? `stays: do not remove ${directory}/, the log that it would be made from does not say all of it`
      : `stays: stop the broker and remove ${directory}/, and the next start makes it again from the log`
  switch (kind) {
    case 'record':
      return isCut
        ? `the log is cut at phyOffset ${start.endOffset}; of what lies behind torn/ keeps 64 MiB, and whole segments`
        : 'stays: the start does not read here; consumers get it damaged or not at all. Keep consumequeue/: queues that are made again from the log would end here, and the log too'
    case 'field':
      if (isCut) return `goes with the end of the log, at phyOffset ${start.endOffset}`
      return start.rebuildsQueues
        ? 'all queues are made again from the log, and some lack messages then because of it. Copy the directory first'
        : 'stays: consumers get what the units name. Keep consumequeue/: queues that are made again from the log would lack messages because of it'
    case 'time':
      return 'stays: the message is delivered; searches by time miss it'
    case 'queue':
      if (start.rebuildsQueues) return 'all queues are made again from the log'
      return isCut && phyOffset > 0 ? 'goes with the end of the log' : removeAndStart('consumequeue')
    case 'message':
      return 'stays: the log does not say it otherwise'
    case 'index':
      return start.indexFilesRemoved > 0 ? 'index files are made again from the log' : removeAndStart('index')
    case 'checkpoint':
      return 'it is not believed where it contradicts the log: more of that is read'
  }
}
