import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Doors } from '../../src/base/doors.ts'
import { messageOf, OperatingError } from '../../src/base/errors.ts'
import { type Log, type LogFields, silentLog } from '../../src/base/log.ts'
import type { Network } from '../../src/base/network.ts'
import { nodeClock, nodeFiles, nodeNetwork, nodeRandom } from '../../src/base/node/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { RequestCode } from '../../src/remoting/codes.ts'
import { sendMessageRequestV2 } from '../../src/remoting/headers/send-message.ts'
import { startBroker } from '../../src/runtime-broker/broker/broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { brokerSettingsOf, namesrvSettingsOf } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'
import { stageTopic } from './corpus.ts'

/** A connection that says nothing, or does not end what it says, is closed after this, and up to a quarter more. */
export const idleSeconds = 2
const loopback = '127.0.0.1'
const witnessPeriodMs = 25
/** How long a good client may wait for an answer while others misbehave; the machine may do other things meanwhile. */
const witnessMsMax = 3_000
/** Lines of one message that a seed may cause, at warn and above. */
const linesMax = 40

/** A NameServer and a broker that run in this process, and a good client of both that never stops asking. */
export interface Stage {
  readonly ports: readonly number[] // broker's, NameServer's
  /** What should not have been so far. */
  readonly problems: string[]
  /** Longest that the good client waited. */
  worstMs(): number
  stop(): Promise<void>
}

export async function startStage(): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'fuzz-'))
  const problems: string[] = []
  const counts = new Map<string, number>()
  const doors: Doors = {
    clock: nodeClock,
    files: nodeFiles,
    network: fenced(nodeNetwork),
    random: nodeRandom,
    log: watchedLog(problems, counts),
  }
  const common = { bindAddress: loopback, listenPort: 0, serverChannelMaxIdleTimeSeconds: idleSeconds }
  const namesrv = await startNameServer(
    namesrvSettingsOf(
      propertiesOf({ ...common, kvConfigPath: `${dir}/kv.json`, configStorePath: `${dir}/namesrv.properties` }),
      testMachine,
    ),
    doors,
  )
  const broker = await startBroker(
    brokerSettingsOf(
      propertiesOf({
        ...common,
        namesrvAddr: `${loopback}:${namesrv.address.port}`,
        brokerName: 'broker-a',
        brokerIP1: loopback,
        storePathRootDir: `${dir}/store`,
        mappedFileSizeCommitLog: 16 << 20,
        maxHashSlotNum: 1_000,
        maxIndexNum: 4_000,
      }),
      testMachine,
    ),
    doors,
  )
  const ports = [broker.address.port, namesrv.address.port] as const
  const witness = startWitness(`${loopback}:${ports[0]}`, `${loopback}:${ports[1]}`, problems)
  return {
    ports,
    problems,
    worstMs: () => witness.worstMs(),
    async stop() {
      await witness.stop()
      await broker.stop()
      await namesrv.stop()
      for (const [message, count] of counts) if (count > linesMax) problems.push(`${count} log lines say: ${message}`)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Settings are changed too, names of NameServers among them: nothing outside of this machine is to be reached. */
function fenced(network: Network): Network {
  return {
    ...network,
    connect: (address, timeoutMs, tls) =>
      address.host === loopback
        ? network.connect(address, timeoutMs, tls)
        : Promise.reject(new OperatingError('CONNECT_FAILED', { ...address, why: 'outside' })),
    resolve: async (host) => {
      if (host === loopback) return [host]
      throw new OperatingError('RESOLVE_FAILED', { host })
    },
  }
}

/** Bugs are problems; other lines are counted. */
function watchedLog(problems: string[], counts: Map<string, number>): Log {
  const note = (fields: LogFields, message: string) => {
    counts.set(message, (counts.get(message) ?? 0) + 1)
    if (/\bbug\b/.test(message)) {
      const { err, code } = fields
      problems.push(`${message}: code ${code}: ${err instanceof Error ? err.stack : err}`)
    }
  }
  const log: Log = { ...silentLog, warn: note, error: note, fatal: note, with: () => log }
  return log
}

/** Sends, and asks for a route, again and again: any answer is good, silence is not. */
function startWitness(brokerAddr: string, namesrvAddr: string, problems: string[]) {
  const client = new RemotingClient({}, { clock: nodeClock, network: nodeNetwork, log: silentLog })
  let isOver = false
  let worst = 0
  const send = {
    code: RequestCode.SEND_MESSAGE_V2,
    extFields: sendMessageRequestV2.encode({
      producerGroup: 'witness',
      topic: stageTopic,
      defaultTopic: 'TBW102',
      defaultTopicQueueNums: 1,
      queueId: 0,
      sysFlag: 0,
      bornTimestamp: 1_700_000_000_000,
      flag: 0,
      properties: 'KEYS\u0001k\u0002',
    }),
    body: Buffer.from('witness'),
  }
  const ask = async (address: string, command: typeof send | { code: number; extFields: Record<string, string> }) => {
    const startedAtMs = performance.now()
    try {
      await client.call(address, command, witnessMsMax)
    } catch (error) {
      if (!isOver) problems.push(`a good client at ${address}: ${messageOf(error)}`)
    }
    worst = Math.max(worst, performance.now() - startedAtMs)
  }
  const route = { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, extFields: { topic: stageTopic } }
  const working = (async () => {
    while (!isOver) {
      await Promise.all([ask(brokerAddr, send), ask(namesrvAddr, route)])
      await nodeClock.sleep(witnessPeriodMs)
    }
  })()
  return {
    worstMs: () => Math.round(worst),
    async stop() {
      isOver = true
      await working
      await client.close()
    },
  }
}
