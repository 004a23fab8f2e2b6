import type { Clock } from '../../../base/clock.ts'
import { OperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import {
  decodeMessage,
  isBodyIntact,
  MessageSysFlag,
  PropertyName,
  RecordMagic,
  recordAt,
  type StoredMessage,
} from '../../../remoting/message/index.ts'
import type { ScannedRecord } from '../scan.ts'
import { type Finding, Findings } from './findings.ts'
import { LogFiles } from './log-files.ts'
import { lookAgain } from './look-again.ts'
import { assertStore, type StoreLocation } from './verify.ts'
import { type Damage, walkLog } from './walk.ts'

export interface DumpFilter {
  topic: string | undefined
  queueId: number | undefined
  /** First byte of the log to look at; a record need not begin there. */
  fromPhyOffset: number | undefined
  fromQueueOffset: number | undefined
  countMax: number
  /** UNIQ_KEY, or a word of KEYS. */
  key: string | undefined
}

export interface DumpOptions extends StoreLocation {
  filter: DumpFilter
  segmentBytes: number | undefined
  /** Bodies too, in base64. */
  withBodies: boolean
  /** Takes one line of JSON; false: no more is wanted. */
  onLine: (line: string) => boolean
  /** Is told how far the log was read; what it returns is waited for, so that lines do not gather without a limit. */
  onProgress: (doneBytes: number, totalBytes: number) => void | Promise<void>
  /** Is told what is wrong with the files of the log, before the first line. */
  onLayout: (finding: Finding) => void
}

/**
 * Tells the records of a log that a filter wants, one JSON object each, in the order of the log; damaged places too.
 * @returns how many records it told
 * @throws OperatingError SETTING_INVALID (no store there), FILE_FAILED
 */
export async function dumpStore(
  options: DumpOptions,
  { files, clock }: { files: Files; clock: Clock },
): Promise<number> {
  const { filter, commitLogDir } = options
  assertStore(files, options)
  const findings = new Findings()
  const log = new LogFiles(files, commitLogDir, options.segmentBytes, findings)
  for (const finding of findings.kept) options.onLayout(finding)
  const { fromPhyOffset = log.minOffset } = filter
  if (fromPhyOffset > log.endOffset) {
    throw new OperatingError('SETTING_INVALID', {
      from: fromPhyOffset,
      fits: `at most ${log.endOffset}, the log's end`,
    })
  }
  const wanted = filter.topic === undefined ? undefined : Buffer.from(filter.topic)
  let count = 0
  let isOver = false
  const tell = (record: ScannedRecord): boolean => {
    if (isOver) return false
    if (!isTopic(record, wanted)) return true
    const message = decodeMessage(record.buffer, record.position)
    if (!isWanted(message, filter)) return true
    const isIntact = isBodyIntact(record.buffer, record.position, record.layout)
    const magic = record.buffer.readInt32BE(record.position + recordAt.magic)
    isOver = !options.onLine(lineOf(message, magic, isIntact, options.withBodies)) || ++count >= filter.countMax
    return true
  }
  const isFiltered = wanted !== undefined || filter.key !== undefined
  try {
    const from = Math.max(log.minOffset, fromPhyOffset)
    await walkLog(log, from - (from % log.segmentBytes), false, {
      onRecord: (record) => (record.phyOffset < fromPhyOffset ? true : tell(record)),
      onDamage: (damage) => {
        if (damage.endOffset > fromPhyOffset && !isFiltered && !isOver) isOver = !options.onLine(damageLine(damage))
        return false
      },
      onProgress: (phyOffset) => options.onProgress(phyOffset - log.minOffset, log.endOffset - log.minOffset),
      mayGrow: files.exists(`${options.rootDir}/abort`) ? lookAgain(clock) : async () => false,
    })
    return count
  } finally {
    log.close()
  }
}

function isTopic({ buffer, layout: { topicAt, topicLength } }: ScannedRecord, wanted: Buffer | undefined): boolean {
  return wanted === undefined || buffer.compare(wanted, 0, wanted.length, topicAt, topicAt + topicLength) === 0
}

function isWanted(message: StoredMessage, { queueId, fromQueueOffset = 0, key }: DumpFilter): boolean {
  if (queueId !== undefined && message.queueId !== queueId) return false
  if (message.queueOffset < fromQueueOffset) return false
  if (key === undefined) return true
  const { properties } = message
  return (
    properties.get(PropertyName.UNIQ_KEY) === key ||
    (properties.get(PropertyName.KEYS)?.split(' ').includes(key) ?? false)
  )
}

const transactions: Record<number, string> = {
  [MessageSysFlag.TRANSACTION_PREPARED]: 'prepared',
  [MessageSysFlag.TRANSACTION_COMMIT]: 'committed',
  [MessageSysFlag.TRANSACTION_ROLLBACK]: 'rolledBack',
}

function lineOf(message: StoredMessage, magic: number, isIntact: boolean, withBody: boolean): string {
  const { body, properties, bornHost, storeHost, bodyCrc, ...fields } = message
  const transaction = transactions[message.sysFlag & MessageSysFlag.TRANSACTION_MASK]
  return JSON.stringify({
    ...fields,
    magic: magic === RecordMagic.V2 ? 'V2' : 'V1',
    bornHost: hostText(bornHost),
    storeHost: hostText(storeHost),
    ...(transaction !== undefined && { transaction }),
    bodyBytes: body.length,
    bodyCrc,
    ...(!isIntact && { isBodyDamaged: true }),
    properties: Object.fromEntries(properties),
    ...(withBody && { body: body.toString('base64') }),
  })
}

function damageLine({ phyOffset, endOffset, why }: Damage): string {
  return JSON.stringify({ phyOffset, damagedBytes: endOffset - phyOffset, why })
}

function hostText({ host, port }: StoredMessage['bornHost']): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
