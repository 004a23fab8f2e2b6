import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import {
  type Cluster,
  type ClusterOptions,
  end,
  freePorts,
  launchRole,
  type Peer,
  startCluster,
  tailOf,
} from './cluster.ts'

/** A broker group: a master and a slave, each of either implementation, at the master's NameServer. */
export interface Group extends Cluster {
  slaveAddr: string
  /** Where the slave's store lies. */
  slaveStore: string
  masterStore: string
  slavePid(): number
  startSlave(): Promise<void>
  killSlave(): Promise<void>
  stopSlave(): Promise<void>
}

export async function startGroup(options: ClusterOptions & { slavePeer: Peer; startsSlave?: boolean }): Promise<Group> {
  const { slavePeer, dir } = options
  const cluster = await startCluster(options)
  const [, port] = await freePorts()
  const logFile = join(dir, 'slave.out')
  const env = {
    ...cluster.env,
    BROKER_PORT: String(port),
    BROKER_ID: '1',
    BROKER_ROLE: 'SLAVE',
    HA_PORT: '',
  }
  let slave: ChildProcess | undefined
  const group: Group = Object.assign(cluster, {
    slaveAddr: `127.0.0.1:${port}`,
    slaveStore: join(dir, 'slave/store'),
    masterStore: join(dir, 'broker/store'),
    slavePid: () => slave!.pid!,
    async startSlave() {
      slave = await launchRole({ peer: slavePeer, role: 'broker', dir: join(dir, 'slave'), logFile, env, port })
    },
    killSlave: () => end(slave, 'SIGKILL'),
    stopSlave: () => end(slave, 'SIGTERM'),
  })
  const stopCluster = cluster.stop.bind(cluster)
  const outputOfCluster = cluster.output.bind(cluster)
  group.stop = async () => {
    slave?.kill('SIGCONT')
    await end(slave, 'SIGTERM')
    await stopCluster()
  }
  const [freezeCluster, thawCluster] = [cluster.freeze.bind(cluster), cluster.thaw.bind(cluster)]
  group.freeze = () => {
    freezeCluster()
    slave?.kill('SIGSTOP')
  }
  group.thaw = () => {
    slave?.kill('SIGCONT')
    thawCluster()
  }
  group.output = () => outputOfCluster() + tailOf(logFile)
  try {
    if (options.startsSlave !== false) await group.startSlave()
  } catch (error) {
    await group.stop()
    throw error
  }
  return group
}
