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
import { mendCutSegment } from '../segments.ts'
import { DryFiles } from './dry-files.ts'

const stepsMax = 100

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
  /** Messages that each queue would have, by `topic/queueId`. */
  unitCounts: Map<string, number>
  /** What it would log, oldest first; the first stepsMax, and how many more. */
  steps: string[]
}

/** Runs the recovery of the next start, on a disk that it cannot change. */
export async function foreseeStart(
  plan: StorePlan,
  { files, clock }: { files: Files; clock: Clock },
): Promise<NextStart> {
  const dry = new DryFiles(files)
  const steps: string[] = []
  let untoldCount = 0
  const say = (fields: LogFields, message: string) => {
    if (steps.length < stepsMax) steps.push(`${message}${factsOf(fields, plan)}`)
    else untoldCount++
  }
  const log: Log = { ...silentLog, info: say, warn: say, error: say }
  const start: NextStart = {
    refusal: undefined,
    endOffset: 0,
    rebuildsQueues: false,
    indexFilesRemoved: 0,
    unitCounts: new Map(),
    steps,
  }
  const indexDirectory = `${plan.rootDir}/index`
  const indexFiles = dry.list(indexDirectory).filter(({ isDirectory }) => !isDirectory)
  let commitLog: CommitLog | undefined
  let queues: ConsumeQueues | undefined
  let index: KeyIndex | undefined
  try {
    const wasClean = !dry.exists(`${plan.rootDir}/abort`)
    if (!wasClean) mendCutSegment(dry, plan.commitLogDir, plan.segmentBytes, log)
    commitLog = new CommitLog(dry, plan.commitLogDir, plan.segmentBytes, plan.segmentBytes)
    queues = queuesOf(plan, { files: dry, clock, log })
    const checkpoint = readCheckpoint(dry, `${plan.rootDir}/checkpoint`)
    const { endOffset } = await recover({
      commitLog,
      queues,
      deleted: new DeletedTopics(dry, `${plan.rootDir}/deleted-topics.json`, commitLog.minOffset),
      checkpoint,
      wasClean,
      unflushedFrom: undefined, // the same bytes again
      noteUnflushed: () => {}, // nothing is synced
      checkCrc: true,
      delayLevelsMs: [],
      tornDirectory: `${plan.rootDir}/torn`,
      files: dry,
      log,
    })
    start.endOffset = endOffset
    for (const { topic, queueId, minOffset, maxOffset } of queues.all()) {
      start.unitCounts.set(`${topic}/${queueId}`, maxOffset - minOffset)
    }
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
  if (untoldCount > 0) steps.push(`and ${untoldCount} more`)
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
