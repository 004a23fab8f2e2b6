import type { Cluster } from '../peers/cluster.ts'
import type { JavaProject } from './java.ts'

/** One line of the comparison: what an operator types, in this order, on both clusters. */
export interface AdminCommand {
  name: string
  args(cluster: Cluster): string[]
  /** Lines may come in any order, for tables that RocketMQ prints in the order of a hash map. */
  unordered?: boolean
  /** It changes the cluster: commands before it have ended when it runs, and it has ended before the next ones run. */
  changes?: boolean
}

const fixture = 'T_mqadminFixture'
const fixtureGroup = 'G_mqadminFixture'

export const adminCommands: AdminCommand[] = [
  { name: 'clusterList', args: () => ['clusterList'] },
  { name: 'topicList', args: () => ['topicList'], unordered: true },
  { name: 'topicList by cluster', args: () => ['topicList', '-c'], unordered: true },
  {
    name: 'updateTopic in a cluster',
    args: () => ['updateTopic', '-c', 'DefaultCluster', '-t', 'MqOne', '-r', '4', '-w', '4'],
    changes: true,
  },
  {
    name: 'updateTopic at a broker',
    args: (c) => ['updateTopic', '-b', c.brokerAddr, '-t', 'MqTwo', '-r', '8', '-w', '2', '-p', '4'],
    changes: true,
  },
  {
    name: 'updateTopic again',
    args: () => ['updateTopic', '-c', 'DefaultCluster', '-t', 'MqOne', '-r', '6', '-w', '6'],
    changes: true,
  },
  {
    name: 'updateTopic illegal name',
    args: () => ['updateTopic', '-c', 'DefaultCluster', '-t', 'no good'],
    changes: true,
  },
  { name: 'topicRoute', args: () => ['topicRoute', '-t', 'MqOne'] },
  { name: 'topicRoute as a list', args: () => ['topicRoute', '-t', 'MqTwo', '-l'] },
  { name: 'topicRoute of an unknown topic', args: () => ['topicRoute', '-t', 'MqNever'] },
  { name: 'topicStatus of an empty topic', args: () => ['topicStatus', '-t', 'MqOne'] },
  { name: 'topicStatus', args: () => ['topicStatus', '-t', fixture] },
  { name: 'topicStatus of an unknown topic', args: () => ['topicStatus', '-t', 'MqNever'] },
  { name: 'topicClusterList', args: () => ['topicClusterList', '-t', fixture] },
  { name: 'consumerProgress', args: () => ['consumerProgress'], unordered: true },
  { name: 'consumerProgress of a group', args: () => ['consumerProgress', '-g', fixtureGroup] },
  { name: 'consumerProgress of an unknown group', args: () => ['consumerProgress', '-g', 'MqNever'] },
  { name: 'consumerConnection of a group that is offline', args: () => ['consumerConnection', '-g', fixtureGroup] },
  { name: 'wipeWritePerm', args: (c) => ['wipeWritePerm', '-b', 'broker-a', '-n', c.namesrv], changes: true },
  { name: 'topicRoute without write permission', args: () => ['topicRoute', '-t', 'MqOne'] },
  { name: 'addWritePerm', args: (c) => ['addWritePerm', '-b', 'broker-a', '-n', c.namesrv], changes: true },
  { name: 'topicRoute with it again', args: () => ['topicRoute', '-t', 'MqOne'] },
  { name: 'deleteTopic', args: () => ['deleteTopic', '-c', 'DefaultCluster', '-t', 'MqOne'], changes: true },
  { name: 'topicRoute of the deleted topic', args: () => ['topicRoute', '-t', 'MqOne'] },
]

const commandTimeoutMs = 60_000
const commandsAtOnceMax = 6

/** What may run at the same time: a command that changes the cluster alone, the others a few together. */
export function stagesOf(commands: AdminCommand[]): AdminCommand[][] {
  const stages: AdminCommand[][] = []
  let open: AdminCommand[] | undefined
  for (const command of commands) {
    if (!command.changes && open && open.length < commandsAtOnceMax) open.push(command)
    else {
      const stage = [command]
      stages.push(stage)
      open = command.changes ? undefined : stage
    }
  }
  return stages
}

/** Runs one command of Apache's mqadmin against a cluster and returns what it prints, without what no two runs share. */
export async function mqadmin(java: JavaProject, cluster: Cluster, command: AdminCommand): Promise<string> {
  const { stdout, stderr } = await java.java(
    'org.apache.rocketmq.tools.command.MQAdminStartup',
    command.args(cluster),
    {
      timeoutMs: commandTimeoutMs,
      properties: ['-XX:TieredStopAtLevel=1'],
      env: { ...process.env, NAMESRV_ADDR: cluster.namesrv },
    },
  )
  return normalised(stdout + stderr, cluster, command)
}

/** Addresses, times, rates and figures of the machine become words; all else must be the same, letter by letter. */
export function normalised(
  printed: string,
  cluster: { namesrv: string; brokerAddr: string },
  command: AdminCommand,
): string {
  const lines = printed
    .replaceAll(cluster.brokerAddr, '<broker>')
    .replaceAll(cluster.namesrv, '<namesrv>')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d+)?/g, '<time>')
    .replaceAll(/TPS: [\d.]+/g, 'TPS: <rate>')
    .split('\n')
    .map((line) => line.replaceAll(/\s+/g, ' ').trim())
    // where in mqadmin or the client an error was thrown is no part of what the cluster said
    .filter((line) => line !== '' && !line.startsWith('at ') && !line.startsWith('...'))
    .map((line) => (command.name === 'clusterList' && line.includes('<broker>') ? withoutFigures(line) : line))
  return (command.unordered ? lines.sort() : lines).join('\n')
}

/** A row of clusterList: cluster, name, id, address and version stay; load, waits, hours and disk ratio keep their form only. */
function withoutFigures(row: string): string {
  const cells = row.split(' ')
  return [...cells.slice(0, 5), ...cells.slice(5).map((cell) => cell.replaceAll(/\d+(\.\d+)?/g, '#'))].join(' ')
}
