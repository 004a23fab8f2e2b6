import { resolve } from 'node:path'
import { nodeClock, nodeFiles } from '../../../base/node/index.ts'
import { parseFlags, UsageError } from '../../../base/usage.ts'
import { dumpStore } from './dump.ts'
import { failureText } from './failure-text.ts'
import { defaults } from './file-lengths.ts'
import { Output } from './output.ts'
import { ProgressText } from './progress.ts'
import { reportLines } from './report.ts'
import { verifyStore } from './verify.ts'

const usage = `Usage: node src/main.js log COMMAND DIR [flags]

Looks into the store of a broker, ours or Apache's; DIR is its storePathRootDir. Nothing is written there, and a broker may be
at work in it. Progress of a long read goes to the error output.

Commands
  verify   read every record and hold consume queues, key index and checkpoint against them; say what is wrong, and what
           the next start of the broker would do about it
  dump     the records in the order of the log, each a line of JSON; damaged places as lines of their own

Flags
  --commitlog FOLDER       storePathCommitLog, where it is not DIR/commitlog
  --segment-bytes N        mappedFileSizeCommitLog
Of verify
  --queue-file-bytes N     mappedFileSizeConsumeQueue
  --index-slots N          maxHashSlotNum
  --index-entries N        maxIndexNum
Of dump
  --topic TOPIC            only messages of this topic
  --queue N                only messages of the queue of this queueId
  --from PHYOFFSET         only records from this byte of the log on
  --from-queue-offset N    only messages from this queueOffset on; wants --topic
  --key KEY                only messages with this UNIQ_KEY, or this word in KEYS
  --count N                at most so many
  --body                   bodies too, in base64
  -h, --help               this text

Sizes that are not said are those that most files have; of which there is only one file, or none, those that brokers have:
${defaults.segmentBytes}, ${defaults.queueFileBytes}, ${defaults.slotCount} slots, ${defaults.entryCountMax} entries.

dump says on the error output where files of the log are missing or have not the length that they must have.

Exit code: 0 all is well, 1 verify found problems, 2 no answer: the directory or the flags cannot be used, or this
program failed.
`

/** @returns the exit code */
export async function run(args: string[]): Promise<number> {
  const { command, dir, values } = readFlags(args)
  if (values.help || command === 'help') {
    process.stdout.write(usage)
    return 0
  }
  if (command !== 'verify' && command !== 'dump') {
    throw new UsageError(command === undefined ? 'no command named' : `unknown command ${command}`)
  }
  if (dir === undefined) throw new UsageError(`${command} which directory? Name the storePathRootDir of a broker`)
  process.stderr.on('error', () => {}) // progress that nobody reads any more
  const rootDir = resolve(dir)
  const location = { rootDir, commitLogDir: values.commitlog ? resolve(values.commitlog) : `${rootDir}/commitlog` }
  try {
    return await (command === 'verify' ? verify(location, values) : dump(location, values))
  } catch (error) {
    if (error instanceof UsageError) throw error
    process.stderr.write(`${failureText(`log ${command}`, error)}\n`)
    return 2
  }
}

type Values = ReturnType<typeof readFlags>['values']
type Location = { rootDir: string; commitLogDir: string }

async function verify(location: Location, values: Values): Promise<number> {
  for (const flag of ['topic', 'queue', 'from', 'from-queue-offset', 'key', 'count', 'body'] as const) {
    if (values[flag] !== undefined) throw new UsageError(`--${flag} is a flag of dump`)
  }
  const output = new Output(process.stdout)
  const progress = new ProgressText(nodeClock)
  const report = await verifyStore(
    {
      ...location,
      segmentBytes: numberOf(values, 'segment-bytes', 1),
      consumeQueueFileBytes: numberOf(values, 'queue-file-bytes', 1),
      slotCount: numberOf(values, 'index-slots', 1),
      indexEntries: numberOf(values, 'index-entries', 2),
      onProgress: (done, total) => tellProgress(progress.next(done, total)),
    },
    { files: nodeFiles, clock: nodeClock },
  )
  for (const line of reportLines(report, location.rootDir)) output.line(line)
  await output.flush()
  return report.findings.count > 0 ? 1 : 0
}

async function dump(location: Location, values: Values): Promise<number> {
  for (const flag of ['queue-file-bytes', 'index-slots', 'index-entries'] as const) {
    if (values[flag] !== undefined) throw new UsageError(`--${flag} is a flag of verify`)
  }
  const fromQueueOffset = numberOf(values, 'from-queue-offset', 0)
  if (fromQueueOffset !== undefined && values.topic === undefined) {
    throw new UsageError('--from-queue-offset wants --topic: each queue counts its own messages')
  }
  const output = new Output(process.stdout)
  const progress = new ProgressText(nodeClock)
  await dumpStore(
    {
      ...location,
      segmentBytes: numberOf(values, 'segment-bytes', 1),
      filter: {
        topic: values.topic,
        queueId: numberOf(values, 'queue', 0),
        fromPhyOffset: numberOf(values, 'from', 0),
        fromQueueOffset,
        countMax: numberOf(values, 'count', 1) ?? Number.POSITIVE_INFINITY,
        key: values.key,
      },
      withBodies: values.body ?? false,
      onLine: (line) => output.line(line),
      onProgress: async (done, total) => {
        tellProgress(progress.next(done, total))
        await output.room()
      },
      onLayout: ({ path, what }) => process.stderr.write(`${path} ${what}\n`),
    },
    { files: nodeFiles, clock: nodeClock },
  )
  await output.flush()
  return 0
}

function readFlags(args: string[]) {
  const { values, positionals } = parseFlags({
    args,
    allowPositionals: true,
    options: {
      commitlog: { type: 'string' },
      'segment-bytes': { type: 'string' },
      'queue-file-bytes': { type: 'string' },
      'index-slots': { type: 'string' },
      'index-entries': { type: 'string' },
      topic: { type: 'string' },
      queue: { type: 'string' },
      from: { type: 'string' },
      'from-queue-offset': { type: 'string' },
      key: { type: 'string' },
      count: { type: 'string' },
      body: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const [command, dir, ...more] = positionals
  if (more.length > 0) throw new UsageError(`one directory at a time: ${[dir, ...more].join(' ')}`)
  return { command, dir, values }
}

function numberOf(
  values: Values,
  flag:
    | 'segment-bytes'
    | 'queue-file-bytes'
    | 'index-slots'
    | 'index-entries'
    | 'queue'
    | 'from'
    | 'from-queue-offset'
    | 'count',
  least: number,
): number | undefined {
  const text = values[flag]
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`--${flag} ${text}: a whole number from ${least} on is wanted`)
  }
  return value
}

function tellProgress(text: string | undefined): void {
  if (text !== undefined) process.stderr.write(`${text}\n`)
}
