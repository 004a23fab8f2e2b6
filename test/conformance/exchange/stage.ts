import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createLog, nodeDoors } from '../../../src/base/node/index.ts'
import { Admin, Producer, type ProducerOptions } from '../../../src/client/index.ts'
import { RemotingClient } from '../../../src/remoting/client.ts'
import { type Cluster, end, launchRole, type Peer, tailOf } from '../../peers/cluster.ts'

const run = promisify(execFile)
const copyTimeoutMs = 60_000

/** One broker on a directory that another one may have had before, and clients of it. */
export interface Stage {
  peer: Peer
  store: string
  namesrv: string
  brokerAddr: string
  startedAt: number
  admin: Admin
  producer: Producer
  remoting: RemotingClient
  newProducer(options: Partial<ProducerOptions>): Producer
  pause(ms: number): Promise<void>
  /** Ends the broker, by SIGTERM or by SIGKILL; returns when it is gone. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  close(): Promise<void>
  output(): string
}

/** @param from the store that the last broker left; it is copied, sparse as it is */
export async function startStage(cluster: Cluster, peer: Peer, dir: string, from: string | undefined): Promise<Stage> {
  mkdirSync(dir, { recursive: true })
  if (from !== undefined) await run('cp', ['-a', '--sparse=always', from, dir], { timeout: copyTimeoutMs })
  const logFile = join(dir, 'broker.out')
  const port = Number(cluster.brokerAddr.split(':')[1])
  const startedAt = Date.now()
  const broker = await launchRole({ peer, role: 'broker', dir, logFile, env: cluster.env, port })
  const doors = nodeDoors(createLog('fatal', { component: 'exchange' })) // lost connections are what this is about
  const { namesrv, brokerAddr } = cluster
  const options = { namesrvAddr: namesrv, requestTimeoutMs: 10_000 }
  const newProducer = (more: Partial<ProducerOptions>) =>
    new Producer({ ...options, producerGroup: 'exchange', ...more }, doors)
  const stage: Stage = {
    peer,
    store: join(dir, 'store'),
    namesrv,
    brokerAddr,
    startedAt,
    admin: new Admin(options, doors),
    producer: newProducer({ sendTimeoutMs: 10_000 }),
    remoting: new RemotingClient({}, doors),
    newProducer,
    pause: (ms) => sleep(ms),
    end: (signal) => end(broker, signal),
    async close() {
      await Promise.all([stage.producer.close(), stage.admin.close(), stage.remoting.close()])
      await end(broker, 'SIGTERM')
    },
    output: () => tailOf(logFile),
  }
  return stage
}
