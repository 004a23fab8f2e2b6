import { messageOf } from '../base/errors.ts'
import { createLog, nodeDoors } from '../base/node/index.ts'
import { parseFlags, UsageError } from '../base/usage.ts'
import { type SelfTestOptions, selfTest } from './self-test.ts'

const usage = `Usage: node src/main.js selftest -n ADDRESSES --topic NAME --group NAME [flags]

Sends messages to every queue of a topic and consumes them again. It waits for what is still coming into being. Ends
with 0 when every message came, else with 1 and what is missing. The charts' \`helm test\` runs it.

  -n, --namesrvAddr ADDRESSES  NameServers, host:port joined by ;
  --topic NAME                 a topic for this alone: its messages are consumed and nobody gets them
  --group NAME                 a consumer group for this alone
  --brokers N                  wait until that many broker groups have the topic; default: 1
  --messages N                 to each queue; default: 10
  --timeout SECONDS            for all of it; default: 120
  -h, --help                   this text
`

/**
 * @returns 0; 1 when messages are missing; 130 when it was interrupted
 * @throws UsageError
 */
export async function run(args: string[]): Promise<number> {
  const options = readFlags(args)
  if (options === undefined) {
    process.stdout.write(usage)
    return 0
  }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => interrupted.abort(new Error('interrupted')))
  const tell = (line: string) => process.stdout.write(`${line}\n`)
  try {
    const doors = nodeDoors(createLog('error', { component: 'selftest' }))
    const { messageCount, queueCount } = await selfTest(options, doors, tell, interrupted.signal)
    tell(`passed: ${messageCount} messages through ${queueCount} queues`)
    return 0
  } catch (error) {
    process.stderr.write(`failed: ${messageOf(error)}\n`)
    return interrupted.signal.aborted ? 130 : 1
  }
}

/** undefined: help is wanted. */
function readFlags(args: string[]): SelfTestOptions | undefined {
  const { values } = parseFlags({
    args,
    options: {
      namesrvAddr: { type: 'string', short: 'n' },
      topic: { type: 'string' },
      group: { type: 'string' },
      brokers: { type: 'string', default: '1' },
      messages: { type: 'string', default: '10' },
      timeout: { type: 'string', default: '120' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const { namesrvAddr, topic, group } = values
  if (namesrvAddr === undefined || topic === undefined || group === undefined)
    throw new UsageError('-n, --topic and --group are needed')
  return {
    namesrvAddr,
    topic,
    consumerGroup: group,
    brokerCountMin: readCount('--brokers', values.brokers, 64),
    messagesPerQueue: readCount('--messages', values.messages, 10_000),
    timeoutMs: 1000 * readCount('--timeout', values.timeout, 86_400),
  }
}

function readCount(flag: string, text: string, max: number): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= max) return count
  throw new UsageError(`${flag} ${text}: a whole number from 1 to ${max} is wanted`)
}
