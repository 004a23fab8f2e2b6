import { messageOf } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { nodeClock, nodeFiles, nodeNetwork } from '../../src/base/node/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { ClientTls } from '../../src/remoting/client-tls.ts'
import { floodTopic, stageTopic } from './corpus.ts'
import { type GoodRequest, routeRequest, sendRequest } from './requests.ts'
import type { Servers } from './servers.ts'
import type { Look, Ports } from './target.ts'

/** A connection that says nothing, or does not end what it says, is closed after this, and up to a quarter more. */
export const idleSeconds = 3
const loopback = '127.0.0.1'
const witnessPeriodMs = 25
/** How long a good client may wait for an answer while others misbehave; the machine may do other things meanwhile. */
const witnessMsMax = 5_000
/** Of the one message of floodTopic: an answer that is large beside its question. */
const floodBytes = 1024 * 1024

const doors = { clock: nodeClock, files: nodeFiles, network: nodeNetwork, log: silentLog }

/** Servers that run, and good clients of them that never stop asking. */
export interface Stage {
  readonly ports: Ports
  /** What should not have been so far, as the good clients see it. */
  readonly problems: string[]
  look(peer: { clientPort: number; serverPort: number }): Promise<Look | undefined>
  /** Longest that a good client waited. */
  worstMs(): number
  /** Ends the good clients; the servers run on. */
  leave(): Promise<void>
}

export async function startStage(servers: Servers): Promise<Stage> {
  const ports = await servers.call('start', idleSeconds)
  const problems: string[] = []
  const client = new RemotingClient({}, doors)
  const tls = new ClientTls(
    { authServer: false, trustCertPath: '', certPath: '', keyPath: '', keyPassword: '' },
    '',
    doors,
  )
  const [broker, namesrv, tlsNamesrv] = [ports.broker, ports.namesrv, ports.tls].map((port) => `${loopback}:${port}`)
  let isOver = false
  let worst = 0
  /** Any answer is good, silence is not. */
  const ask = async (by: RemotingClient, address: string, request: GoodRequest) => {
    const startedAtMs = performance.now()
    try {
      await by.call(address, request, witnessMsMax)
    } catch (error) {
      if (!isOver && servers.failure === undefined) problems.push(`a good client at ${address}: ${messageOf(error)}`)
    }
    worst = Math.max(worst, performance.now() - startedAtMs)
  }
  /** A new connection each time: handshakes that others leave half done must not stand in the way of one. */
  const askSecurely = async () => {
    const fresh = new RemotingClient({ tls }, doors)
    await ask(fresh, tlsNamesrv!, routeRequest(stageTopic))
    await fresh.close()
  }
  const work = async (once: () => Promise<unknown>) => {
    while (!isOver && servers.failure === undefined) {
      await once()
      await nodeClock.sleep(witnessPeriodMs)
    }
  }
  await client.call(broker!, sendRequest(floodTopic, Buffer.alloc(floodBytes)), witnessMsMax)
  const working = [
    work(() => ask(client, broker!, sendRequest(stageTopic, Buffer.from('witness')))),
    work(() => ask(client, namesrv!, routeRequest(stageTopic))),
    work(askSecurely),
  ]
  return {
    ports,
    problems,
    look: ({ clientPort, serverPort }) => servers.call('look', clientPort, serverPort),
    worstMs: () => Math.round(worst),
    async leave() {
      isOver = true
      await Promise.all(working)
      await client.close()
    },
  }
}
