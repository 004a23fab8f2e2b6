import type { Doors } from '../../base/doors.ts'
import { OperatingError } from '../../base/errors.ts'
import { AbortMark } from './abort-mark.ts'
import { readCheckpoint } from './checkpoint.ts'
import { CommitLog } from './commit-log.ts'
import { unitBytes } from './consume-queue.ts'
import { ConsumeQueues } from './consume-queues.ts'
import { DeletedTopics } from './deleted-topics.ts'
import { KeyIndex } from './key-index/key-index.ts'
import { recover } from './recovery.ts'
import { mendCutSegment } from './segments.ts'
import { Store } from './store.ts'
import type { MessageStore, StoreSettings } from './types.ts'

export type { MessageKeys } from './key-index/keys.ts'
export type {
  Appended,
  AppendWaiter,
  ArrivalListener,
  CopiedLog,
  FoundMessages,
  MessageStore,
  NewMessage,
  QueueName,
  RawLog,
  ReadLimits,
  ReadResult,
  ReadStatus,
  SettleGate,
  SettleStatus,
  StoreSettings,
  StoreStats,
} from './types.ts'

/**
 * Opens a store directory, or makes one: takes its lock, then recovers, then marks it as in use.
 * @throws OperatingError STORE_LOCKED (another process has it), STORE_CORRUPT (a file contradicts its format or the
 *   size settings), FILE_FAILED
 */
export async function openStore(
  settings: StoreSettings,
  { files, clock, log }: Pick<Doors, 'files' | 'clock' | 'log'>,
): Promise<MessageStore> {
  const { rootDir, commitLogDir } = settings
  const paths = {
    lock: `${rootDir}/store.lock`,
    checkpoint: `${rootDir}/checkpoint`,
    deleted: `${rootDir}/deleted-topics.json`,
    torn: `${rootDir}/torn`,
    queues: `${rootDir}/consumequeue`,
    index: `${rootDir}/index`,
  }
  const abort = new AbortMark(files, `${rootDir}/abort`)
  files.makeDirectory(rootDir)
  const lock = files.lock(paths.lock)
  if (lock === undefined) throw new OperatingError('STORE_LOCKED', { path: paths.lock })
  try {
    const wasClean = !abort.isSet
    if (!wasClean) mendCutSegment(files, commitLogDir, settings.segmentBytes, log)
    const commitLog = new CommitLog(files, commitLogDir, settings.segmentBytes, settings.maxMessageBytes)
    const queues = new ConsumeQueues(
      {
        directory: paths.queues,
        fileBytes: Math.ceil(settings.consumeQueueFileBytes / unitBytes) * unitBytes,
        flushIntervalMs: settings.flushIntervalConsumeQueueMs,
      },
      { files, clock, log },
    )
    const deleted = new DeletedTopics(files, paths.deleted, commitLog.minOffset)
    const checkpoint = readCheckpoint(files, paths.checkpoint)
    const recovered = await recover({
      commitLog,
      queues,
      deleted,
      checkpoint,
      wasClean,
      unflushedFrom: abort.unflushedFrom,
      noteUnflushed: (phyOffset) => abort.noteUnflushed(phyOffset),
      checkCrc: settings.checkCrcOnRecover,
      delayLevelsMs: settings.delayLevelsMs,
      tornDirectory: paths.torn,
      files,
      log,
    })
    const index =
      settings.index &&
      new KeyIndex({ directory: paths.index, shape: settings.index }, commitLog, { files, clock, log })
    const { indexMsgTimestamp } = checkpoint
    await index?.load({ wasClean, saved: checkpoint.index, indexMsgTimestamp }, recovered.endOffset)
    if (wasClean || abort.unflushedFrom !== undefined) abort.set() // one that is there costs no room, which a full disk lacks
    return new Store({
      settings,
      commitLog,
      queues,
      index,
      deleted,
      recovered,
      paths,
      abort,
      files,
      clock,
      log,
      unlock: () => lock.release(),
    })
  } catch (error) {
    lock.release()
    throw error
  }
}
