import type { Cluster } from '../peers/cluster.ts'
import type { JavaProject } from './java.ts'

/** One line of the comparison: what an operator types on both clusters. */
export interface AdminCommand {
  name: string
  args(cluster: Cluster): string[]
  /** Lines may come in any order, for tables that RocketMQ prints in the order of a hash map. */
  unordered?: boolean
}

const fixture = 'T_mqadminFixture'
const fixtureGroup = 'G_mqadminFixture'
const updateTopic = ['updateTopic', '-c', 'DefaultCluster', '-t']
const routeOfOne = () => ['topicRoute', '-t', 'MqOne']

/** One stage after the other; what stands in one stage does not touch each other and runs at the same time. */
export const adminStages: AdminCommand[][] = [
  [
    { name: 'clusterList', args: () => ['clusterList'] },
    { name: 'topicList', args: () => ['topicList'], unordered: true },
    { name: 'topicList by cluster', args: () => ['topicList', '-c'], unordered: true },
    { name: 'topicRoute of an unknown topic', args: () => ['topicRoute', '-t', 'MqNever'] },
    { name: 'topicStatus of an unknown topic', args: () => ['topicStatus', '-t', 'MqNever'] },
    { name: 'consumerProgress of an unknown group', args: () => ['consumerProgress', '-g', 'MqNever'] },
  ],
  [
    { name: 'updateTopic in a cluster', args: () => [...updateTopic, 'MqOne', '-r', '4', '-w', '4'] },
    {
      name: 'updateTopic at a broker',
      args: (c) => ['updateTopic', '-b', c.brokerAddr, '-t', 'MqTwo', '-r', '8', '-w', '2', '-p', '4'],
    },
    { name: 'updateTopic with an illegal name', args: () => [...updateTopic, 'no good'] },
  ],
  [{ name: 'updateTopic again', args: () => [...updateTopic, 'MqOne', '-r', '6', '-w', '6'] }],
  [
    { name: 'topicRoute', args: routeOfOne },
    { name: 'topicRoute as a list', args: () => ['topicRoute', '-t', 'MqTwo', '-l'] },
    { name: 'topicStatus', args: () => ['topicStatus', '-t', fixture] },
    { name: 'topicStatus of an empty topic', args: () => ['topicStatus', '-t', 'MqOne'] },
    { name: 'topicClusterList', args: () => ['topicClusterList', '-t', fixture] },
    { name: 'consumerProgress', args: () => ['consumerProgress'], unordered: true },
    { name: 'consumerProgress of a group', args: () => ['consumerProgress', '-g', fixtureGroup] },
    { name: 'consumerConnection of a group that is offline', args: () => ['consumerConnection', '-g', fixtureGroup] },
  ],
  [{ name: 'wipeWritePerm', args: (c) => ['wipeWritePerm', '-b', 'broker-a', '-n', c.namesrv] }],
  [{ name: 'topicRoute without write permission', args: routeOfOne }],
  [{ name: 'addWritePerm', args: (c) => ['addWritePerm', '-b', 'broker-a', '-n', c.namesrv] }],
  [{ name: 'topicRoute with it again', args: routeOfOne }],
  [{ name: 'deleteTopic', args: () => ['deleteTopic', '-c', 'DefaultCluster', '-t', 'MqOne'] }],
  [{ name: 'topicRoute of the deleted topic', args: routeOfOne }],
]

const commandTimeoutMs = 60_000

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
