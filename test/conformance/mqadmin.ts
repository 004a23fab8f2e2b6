import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../peers/cluster.ts'
import type { JavaProject } from './java.ts'

/** One line of the comparison: what an operator types on both clusters. */
export interface AdminCommand {
  name: string
  /** Arguments; {{NAME REGEX}} is what the regex's first group finds in what the command NAME printed before. */
  args(cluster: Cluster, dir: string): string[]
  /** Lines may come in any order, for tables that RocketMQ prints in the order of a hash map. */
  unordered?: boolean
  /** Only these lines are compared, where the others tell of what one side alone has. */
  only?: RegExp
  /** Replaced by # besides addresses, times and ids: figures that no two runs share. */
  figures?: RegExp
}

const fixture = 'T_mqadminFixture'
const fixtureGroup = 'G_mqadminFixture'
const onlineGroup = 'G_mqadminOnline'
const cluster = ['-c', 'DefaultCluster']
const updateTopic = ['updateTopic', ...cluster, '-t']
const routeOfOne = () => ['topicRoute', '-t', 'MqOne']
/** What was pulled and not acknowledged: Apache counts what it handed out before a reset, we do not. */
const inflight = /\d+ (?=N\/A|<time>)|Inflight Total: \d+/g
const number = /\d+(\.\d+)?/g
/** The group that consumes meanwhile may have had the message, or not yet. */
const consumedMeanwhile = /NOT_CONSUME_YET|(?<==)CONSUMED/g

/** In this order: later ones stand on earlier ones. */
export const adminCommands: AdminCommand[] = [
  { name: 'clusterList', args: () => ['clusterList'] },
  { name: 'clusterList with totals', args: () => ['clusterList', '-m'], figures: number },
  { name: 'topicList', args: () => ['topicList'], unordered: true },
  { name: 'topicList by cluster', args: () => ['topicList', '-c'], unordered: true },
  { name: 'topicRoute of an unknown topic', args: () => ['topicRoute', '-t', 'MqNever'] },
  { name: 'topicStatus of an unknown topic', args: () => ['topicStatus', '-t', 'MqNever'] },
  { name: 'consumerProgress of an unknown group', args: () => ['consumerProgress', '-g', 'MqNever'] },

  // topics
  { name: 'updateTopic in a cluster', args: () => [...updateTopic, 'MqOne', '-r', '4', '-w', '4'] },
  {
    name: 'updateTopic at a broker',
    args: (c) => ['updateTopic', '-b', c.brokerAddr, '-t', 'MqTwo', '-r', '8', '-w', '2', '-p', '4'],
  },
  { name: 'updateTopic with an illegal name', args: () => [...updateTopic, 'no good'] },
  { name: 'updateTopic again', args: () => [...updateTopic, 'MqOne', '-r', '6', '-w', '6'] },
  { name: 'updateTopic with an attribute', args: () => [...updateTopic, 'MqFifo', '-a', '+message.type=FIFO'] },
  { name: 'updateTopic with an unknown attribute', args: () => [...updateTopic, 'MqFifo', '-a', '+no.such=thing'] },
  { name: 'updateTopicPerm', args: () => ['updateTopicPerm', ...cluster, '-t', 'MqOne', '-p', '4'] },
  { name: 'updateTopicPerm again', args: () => ['updateTopicPerm', ...cluster, '-t', 'MqOne', '-p', '4'] },
  {
    name: 'updateTopicPerm at a broker',
    args: (c) => ['updateTopicPerm', '-b', c.brokerAddr, '-t', 'MqOne', '-p', '6'],
  },
  {
    name: 'updateTopicPerm of an unknown topic',
    args: () => ['updateTopicPerm', ...cluster, '-t', 'MqNever', '-p', '6'],
  },
  {
    name: 'updateTopicList',
    args: (c, dir) => [
      'updateTopicList',
      '-b',
      c.brokerAddr,
      '-f',
      file(dir, 'topics.json', [
        { topicName: 'MqList1', readQueueNums: 2, writeQueueNums: 2, perm: 6 },
        { topicName: 'MqList2', readQueueNums: 3, writeQueueNums: 3, perm: 6 },
      ]),
    ],
  },
  { name: 'topicRoute of a topic of the list', args: () => ['topicRoute', '-t', 'MqList2'] },
  { name: 'topicRoute', args: routeOfOne },
  { name: 'topicRoute as a list', args: () => ['topicRoute', '-t', 'MqTwo', '-l'] },
  { name: 'topicStatus', args: () => ['topicStatus', '-t', fixture] },
  { name: 'topicStatus of an empty topic', args: () => ['topicStatus', '-t', 'MqOne'] },
  { name: 'topicClusterList', args: () => ['topicClusterList', '-t', fixture] },
  { name: 'allocateMQ', args: () => ['allocateMQ', '-t', fixture, '-i', '10.0.0.1,10.0.0.2'] },
  { name: 'updateOrderConf put', args: () => ['updateOrderConf', '-t', 'MqOne', '-m', 'put', '-v', 'broker-a:4'] },
  { name: 'updateOrderConf get', args: () => ['updateOrderConf', '-t', 'MqOne', '-m', 'get'] },
  { name: 'topicRoute with an order', args: routeOfOne },
  { name: 'updateOrderConf delete', args: () => ['updateOrderConf', '-t', 'MqOne', '-m', 'delete'] },
  { name: 'updateOrderConf get nothing', args: () => ['updateOrderConf', '-t', 'MqOne', '-m', 'get'] },
  { name: 'statsAll', args: () => ['statsAll', '-t', fixture], figures: /\d+\.\d+|\b\d+\b/g, unordered: true },

  // consumer groups
  {
    name: 'consumerProgress',
    args: () => ['consumerProgress'],
    unordered: true,
    figures: /V\d_\d_\d|(?<=CLUSTERING )\d+ \d+|(?<=OFFLINE )\d+(?= \d)/g, // the rate of a group that has just left, too
  },
  { name: 'consumerProgress of a group', args: () => ['consumerProgress', '-g', fixtureGroup] },
  { name: 'consumerProgress with clients', args: () => ['consumerProgress', '-g', onlineGroup, '-s', 'true'] },
  { name: 'consumerConnection of a group that is offline', args: () => ['consumerConnection', '-g', fixtureGroup] },
  { name: 'consumerConnection', args: () => ['consumerConnection', '-g', onlineGroup], figures: /Version: \d+/g },
  {
    name: 'consumerStatus',
    args: () => ['consumerStatus', '-g', onlineGroup],
    only: /^\d+ |#Index|jstack|balance|Same/,
  },
  { name: 'consumerStatus of a group that is offline', args: () => ['consumerStatus', '-g', fixtureGroup] },
  { name: 'producerConnection', args: () => ['producerConnection', '-g', 'P_mqadminOnline', '-t', fixture] },
  { name: 'producerConnection of nobody', args: () => ['producerConnection', '-g', 'MqNever', '-t', fixture] },
  { name: 'producer', args: (c) => ['producer', '-b', c.brokerAddr], unordered: true, only: /mqadminOnline|Group/ },
  { name: 'updateSubGroup', args: () => ['updateSubGroup', ...cluster, '-g', 'MqGroup', '-r', '5', '-q', '2'] },
  {
    name: 'updateSubGroupList',
    args: (c, dir) => [
      'updateSubGroupList',
      '-b',
      c.brokerAddr,
      '-f',
      file(dir, 'groups.json', [{ groupName: 'MqListed1', retryMaxTimes: 3 }, { groupName: 'MqListed2' }]),
    ],
  },
  { name: 'getConsumerConfig', args: () => ['getConsumerConfig', '-g', 'MqGroup'] },
  { name: 'getConsumerConfig of the list', args: () => ['getConsumerConfig', '-g', 'MqListed1'] },
  { name: 'deleteSubGroup', args: () => ['deleteSubGroup', ...cluster, '-g', 'MqGroup'] },
  { name: 'brokerConsumeStats', args: (c) => ['brokerConsumeStats', '-b', c.brokerAddr], unordered: true },

  // offsets
  { name: 'cloneGroupOffset', args: () => ['cloneGroupOffset', '-s', fixtureGroup, '-d', 'MqCloned', '-t', fixture] },
  {
    name: 'resetOffsetByTime to the start',
    args: () => ['resetOffsetByTime', '-g', fixtureGroup, '-t', fixture, '-s', '1000'],
  },
  { name: 'consumerProgress at the start', args: () => ['consumerProgress', '-g', fixtureGroup], figures: inflight },
  {
    name: 'resetOffsetByTime of one queue',
    args: (c) => [
      ...['resetOffsetByTime', '-g', fixtureGroup, '-t', fixture, '-s', '-1', '-b', c.brokerAddr, '-q', '0', '-o', '3'],
    ],
  },
  { name: 'consumerProgress of that queue', args: () => ['consumerProgress', '-g', fixtureGroup], figures: inflight },
  { name: 'skipAccumulatedMessage', args: () => ['skipAccumulatedMessage', '-g', fixtureGroup, '-t', fixture] },
  { name: 'consumerProgress at the end', args: () => ['consumerProgress', '-g', fixtureGroup], figures: inflight },
  {
    name: 'resetOffsetByTime of an unknown topic',
    args: () => ['resetOffsetByTime', '-g', fixtureGroup, '-t', 'MqNever', '-s', '-1'],
  },

  // messages
  {
    name: 'sendMessage',
    args: () => [
      'sendMessage',
      '-t',
      fixture,
      '-p',
      'by mqadmin',
      '-k',
      'mqkey',
      '-c',
      'mqtag',
      '-b',
      'broker-a',
      '-i',
      '2',
    ],
  },
  { name: 'sendMessage to an unknown topic', args: () => ['sendMessage', '-t', 'MqNever', '-p', 'x'] },
  { name: 'checkMsgSendRT', args: () => ['checkMsgSendRT', '-t', 'MqTwo', '-a', '2', '-s', '8'], figures: number },
  {
    name: 'sendMsgStatus',
    args: () => ['sendMsgStatus', '-b', 'broker-a', '-s', '8', '-c', '2'],
    figures: /rt=\d+|offset=\d+|Offset=\d+/gi,
  },
  { name: 'queryMsgByKey', args: () => ['queryMsgByKey', '-t', fixture, '-k', 'mqkey'] },
  { name: 'queryMsgByKey that nothing has', args: () => ['queryMsgByKey', '-t', fixture, '-k', 'no-such-key'] },
  {
    name: 'queryMsgByUniqueKey',
    args: () => ['queryMsgByUniqueKey', '-t', fixture, '-i', '{{sendMessage ([0-9A-F]{32})}}'],
    unordered: true,
    figures: consumedMeanwhile,
  },
  {
    name: 'queryMsgById',
    args: () => ['queryMsgById', '-t', fixture, '-i', '{{queryMsgByUniqueKey OffsetID:\\s+(\\S+)}}'],
    unordered: true,
    figures: consumedMeanwhile,
  },
  {
    name: 'queryMsgById consumed by a client',
    args: () => [
      ...['queryMsgById', '-t', fixture, '-i', '{{queryMsgByUniqueKey OffsetID:\\s+(\\S+)}}'],
      ...['-g', onlineGroup, '-d', '{{consumerConnection (\\S+@online)}}'],
    ],
    figures: /spentTimeMills=\d+/g,
  },
  {
    name: 'queryMsgByOffset',
    args: () => ['queryMsgByOffset', '-t', fixture, '-b', 'broker-a', '-i', '2', '-o', '5'],
    unordered: true,
    figures: consumedMeanwhile,
  },
  {
    name: 'queryMsgByOffset beyond the end',
    args: () => ['queryMsgByOffset', '-t', fixture, '-b', 'broker-a', '-i', '2', '-o', '999'],
  },
  {
    name: 'queryCq',
    args: (c) => ['queryCq', '-b', c.brokerAddr, '-t', fixture, '-q', '0', '-i', '0', '-c', '3'],
    figures: /(physicOffset|physicSize)[=:]\d+/g,
  },
  {
    name: 'printMsg',
    args: () => ['printMsg', '-t', fixture, '-d', 'true', '-s', '*'],
    unordered: true,
    only: /BODY|minOffset|Queue/,
  },
  {
    name: 'printMsgByQueue',
    args: () => ['printMsgByQueue', '-t', fixture, '-a', 'broker-a', '-i', '2', '-p', 'true', '-d', 'true'],
  },
  {
    name: 'consumeMessage',
    args: () => ['consumeMessage', '-t', fixture, '-b', 'broker-a', '-i', '2', '-o', '0', '-c', '3', '-g', 'MqReader'],
  },
  {
    name: 'queryMsgTraceById',
    args: () => ['queryMsgTraceById', '-t', fixture, '-i', '{{sendMessage ([0-9A-F]{32})}}'],
  },

  // brokers
  {
    name: 'getBrokerConfig',
    args: (c) => ['getBrokerConfig', '-b', c.brokerAddr],
    only: /^(brokerName|brokerClusterName|brokerId|autoCreateTopicEnable|flushDiskType|fileReservedTime|deleteWhen|maxMessageSize|messageDelayLevel|listenPort) /,
    unordered: true,
    figures: /listenPort = \d+/g,
  },
  {
    name: 'updateBrokerConfig',
    args: (c) => ['updateBrokerConfig', '-b', c.brokerAddr, '-k', 'fileReservedTime', '-v', '71'],
  },
  { name: 'getBrokerConfig after it', args: (c) => ['getBrokerConfig', '-b', c.brokerAddr], only: /^fileReservedTime/ },
  {
    name: 'brokerStatus',
    args: (c) => ['brokerStatus', '-b', c.brokerAddr],
    only: /^(brokerVersionDesc|msgPutTotalTodayMorning|commitLogMinOffset|brokerActive) /,
    unordered: true,
  },
  { name: 'haStatus', args: (c) => ['haStatus', '-b', c.brokerAddr], figures: number },
  { name: 'cleanExpiredCQ', args: (c) => ['cleanExpiredCQ', '-b', c.brokerAddr] },
  { name: 'cleanUnusedTopic', args: (c) => ['cleanUnusedTopic', '-b', c.brokerAddr] },
  { name: 'deleteExpiredCommitLog', args: (c) => ['deleteExpiredCommitLog', '-b', c.brokerAddr] },
  { name: 'exportConfigs', args: (_, dir) => ['exportConfigs', ...cluster, '-f', dir] },
  { name: 'exportMetadata', args: (_, dir) => ['exportMetadata', ...cluster, '-f', dir] },
  { name: 'exportMetrics', args: (_, dir) => ['exportMetrics', ...cluster, '-f', dir] },

  // NameServers
  { name: 'updateKvConfig', args: () => ['updateKvConfig', '-s', 'MqSpace', '-k', 'key', '-v', 'value'] },
  { name: 'deleteKvConfig', args: () => ['deleteKvConfig', '-s', 'MqSpace', '-k', 'key'] },
  {
    name: 'getNamesrvConfig',
    args: () => ['getNamesrvConfig'],
    only: /^(listenPort|orderMessageEnable|scanNotActiveBrokerInterval) |Name Server|====/,
    unordered: true,
    figures: /listenPort = \d+/g,
  },
  { name: 'updateNamesrvConfig', args: () => ['updateNamesrvConfig', '-k', 'orderMessageEnable', '-v', 'true'] },
  { name: 'wipeWritePerm', args: (c) => ['wipeWritePerm', '-b', 'broker-a', '-n', c.namesrv] },
  { name: 'topicRoute without write permission', args: routeOfOne },
  { name: 'addWritePerm', args: (c) => ['addWritePerm', '-b', 'broker-a', '-n', c.namesrv] },
  { name: 'topicRoute with it again', args: routeOfOne },
  { name: 'deleteTopic', args: () => ['deleteTopic', ...cluster, '-t', 'MqOne'] },
  { name: 'topicRoute of the deleted topic', args: routeOfOne },
]

const runTimeoutMs = 6 * 60_000

/** Runs all commands against a cluster. @returns what each printed, without what no two runs share */
export async function mqadmin(
  java: JavaProject,
  cluster: Cluster,
  dir: string,
): Promise<Map<string, { text: string; ms: number }>> {
  const lines = adminCommands.map(({ name, args }) => [name.replaceAll(' ', '-'), ...args(cluster, dir)].join('\t'))
  const commandFile = join(dir, 'commands.txt')
  writeFileSync(commandFile, `${lines.join('\n')}\n`)
  const { stdout, stderr } = await java.java('conformance.AdminShell', [commandFile, fixture], {
    timeoutMs: runTimeoutMs,
    env: { ...process.env, NAMESRV_ADDR: cluster.namesrv },
    cwd: dir, // some commands leave files there
  })
  const printed = new Map<string, { text: string; ms: number }>()
  for (const line of stdout.split('\n').filter((text) => text.startsWith('{"command":'))) {
    const { command: name, printed: text, ms } = JSON.parse(line) as { command: string; printed: string; ms: number }
    const command = adminCommands.find((known) => known.name.replaceAll(' ', '-') === name)!
    printed.set(command.name, { text: normalised(text, cluster, dir, command), ms })
  }
  writeFileSync(join(dir, 'printed.txt'), [...printed].map(([name, { text }]) => `--- ${name}\n${text}\n`).join(''))
  if (printed.size === 0) throw new Error(`mqadmin did not run:\n${stdout}\n${stderr}`)
  return printed
}

/** Addresses, times, ids, rates and figures of the machine become words; all else must be the same, letter by letter. */
function normalised(text: string, { namesrv, brokerAddr }: Cluster, dir: string, command: AdminCommand): string {
  const lines = text
    .replaceAll(brokerAddr, '<broker>')
    .replaceAll(namesrv, '<namesrv>')
    .replaceAll(dir, '<dir>')
    .replaceAll(/\/?127\.0\.0\.1:\d+/g, '<client>')
    .replaceAll(/\d{4}-\d\d-\d\d[ #]\d\d:\d\d:\d\d([,:.]\d+)?/g, '<time>')
    .replaceAll(/\b[0-9A-F]{32}\b/g, '<id>')
    .replaceAll(/\b1\d{12}\b/g, '<ms>')
    .replaceAll(/\b\d+ ?ms\b/gi, '<ms>')
    .replaceAll(/TPS: [\d.]+/g, 'TPS: <rate>')
    .split('\n')
    .map((line) => line.replaceAll(/\s+/g, ' ').trim())
    // where in mqadmin or the client an error was thrown is no part of what the cluster said
    .filter((line) => line !== '' && !line.startsWith('at ') && !line.startsWith('...'))
    .filter((line) => command.only?.test(line) ?? true)
    .map((line) => (command.name === 'clusterList' && line.includes('<broker>') ? withoutFigures(line) : line))
    .map((line) => (command.figures === undefined ? line : line.replaceAll(command.figures, '#')))
  return (command.unordered ? lines.sort() : lines).join('\n')
}

/** A row of clusterList: cluster, name, id, address and version stay; load, waits, hours and disk ratio keep their form only. */
function withoutFigures(row: string): string {
  const cells = row.split(' ')
  return [...cells.slice(0, 5), ...cells.slice(5).map((cell) => cell.replaceAll(/\d+(\.\d+)?/g, '#'))].join(' ')
}

function file(dir: string, name: string, content: unknown): string {
  const path = join(dir, name)
  writeFileSync(path, JSON.stringify(content))
  return path
}
