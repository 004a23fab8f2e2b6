/**
 * Runs each conformance case against Apache RocketMQ and against ours: a case passes where it passes on both.
 *   npm run test:conformance -- [--only REGEX] [--peer apache|ours]
 * Prints one line a case and ends with `N passed, N failed`; details lie in .work/conformance/. Needs Java 17, Maven and Go.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readFlags } from '../../scripts/flags.ts'
import {
  apachePeer,
  type Cluster,
  ourPeer,
  type Peer,
  patientBroker,
  projectDir,
  startCluster,
} from '../peers/cluster.ts'
import { clientCases } from './client.ts'
import { type Ending, exchangeCase } from './exchange/exchange.ts'
import { transactionExchangeCase } from './exchange/transactions.ts'
import { type GoProject, prepareGo } from './go.ts'
import { type JavaProject, javaClients, prepareJava } from './java.ts'
import {
  apacheAcrossBoth,
  goTalk,
  javaTalk,
  type MixedCluster,
  makeTopic,
  mqadminAtBoth,
  oneBrokerLeaves,
  oursAcrossBoth,
  startMixedCluster,
  type Talk,
} from './mixed.ts'
import { type AdminCommand, adminCommands, mqadmin } from './mqadmin.ts'
import { farBehindCase, followCase } from './replication.ts'
import { ourClientCase, startTlsCluster } from './tls.ts'

const workDir = join(projectDir, '.work/conformance')
const replicationPrefix = 'replication:'
const exchangePrefix = 'store exchange:'
const tlsPrefix = 'TLS:'
const mixedPrefix = 'mixed cluster:'
const clientPrefix = 'our client:'
/** Cases that are run where TLS is all that is served. */
const tlsCases = '^(sendSync|sendBatch|pullWakesOnArrival|pushClustering|adminTopicStats)$'
const suiteTimeoutMs = 8 * 60_000
/** Leaves what the mqadmin commands are asked about. */
const fixtureCase = 'mqadminFixture'
/** Cases that are run once more with the other serialisation of headers. */
const binaryHeaderCases =
  '^(sendSync|sendTagsKeysProperties|sendBatch|sendTooLarge|pullFromTheMiddle|pullWakesOnArrival|pushClustering|adminTopicStats)$'

/** Before the names of the old client's cases. */
const oldJavaPrefix = `Java ${javaClients['4.9.8'].version}: `
/** The old client's own: it makes examine-calls up from other answers, and says nothing of what is missing. */
const oldJavaSkips = '^(adminUnknownNames|adminGroupLifecycle|adminTopicLifecycle)$'
const caseThreads = '12'

/** The clients that cases are run with. */
interface Clients {
  java: JavaProject
  oldJava: JavaProject
  go: GoProject
}

interface Outcome {
  passed: boolean
  ms: number
  error?: string
}
/** By case, then by peer. */
type Results = Map<string, Map<string, Outcome>>

const flags = readFlags(import.meta.filename, { only: { type: 'string', default: '' }, peer: { type: 'string' } })
const say = (text: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)

async function main(): Promise<number> {
  rmSync(workDir, { recursive: true, force: true })
  mkdirSync(workDir, { recursive: true })
  const java = await prepareJava(say)
  const clients: Clients = { java, oldJava: await prepareJava(say, javaClients['4.9.8']), go: await prepareGo(say) }
  const peers = [apachePeer, ourPeer].filter((peer) => flags.peer === undefined || peer.name === flags.peer)
  const results: Results = new Map()
  const clusters = new Map<Peer, Cluster>()
  try {
    for (const peer of peers) {
      say(`starting ${peer.name}`)
      clusters.set(peer, await startPeer(peer))
    }
    // texts are held against Apache's: one side alone would only be compared with itself
    if (peers.length > 1) await adminPhase(java, clusters, results)
    else say('one peer only: what mqadmin prints is not compared')
    for (const [peer, cluster] of clusters) await casePhase(clients, peer, cluster, results)
    await clientPhase(peers, results)
    if (peers.includes(ourPeer)) {
      await mixedPhase(clients, peers, results)
      await replicationPhase(java, peers, results)
      await exchangePhase(peers, results)
      await tlsPhase(java, peers, results)
    }
    const failed = report(results, peers)
    if (failed > 0) for (const cluster of clusters.values()) console.error(cluster.output())
    return failed
  } finally {
    await Promise.all([...clusters.values()].map((cluster) => cluster.stop()))
  }
}

/** Topics are made by administrators here, groups by their first use. */
function startPeer(peer: Peer): Promise<Cluster> {
  return startCluster({
    peer,
    dir: join(workDir, peer.name),
    brokerConf: { autoCreateTopicEnable: 'false', ...patientBroker },
  })
}

/** On fresh clusters, so that both hold the same: the fixture, then all commands on both, what they print compared. */
async function adminPhase(java: JavaProject, clusters: Map<Peer, Cluster>, results: Results): Promise<void> {
  const wanted = ({ name }: AdminCommand) => new RegExp(flags.only).test(`mqadmin ${name}`)
  if (!adminCommands.some(wanted)) return
  say('mqadmin: what it prints')
  const printed = new Map<Peer, Map<string, { text: string; ms: number }>>()
  await Promise.all(
    [...clusters].map(async ([peer, cluster]) => {
      const outcomes = await runSuite(java, ['--namesrv', cluster.namesrv, '--only', `^${fixtureCase}$`])
      for (const [name, outcome] of outcomes) record(results, name, peer, outcome)
      const dir = join(workDir, `mqadmin-${peer.name}`)
      mkdirSync(dir, { recursive: true })
      printed.set(
        peer,
        await mqadmin(java, cluster, dir).catch((error: Error) => {
          say(error.message)
          return new Map()
        }),
      )
    }),
  )
  // all of them run where one is wanted: the later ones stand on the earlier ones
  for (const { name } of adminCommands.filter(wanted)) {
    const expected = printed.get(apachePeer)?.get(name)
    for (const [peer, texts] of printed) {
      const { text, ms } = texts.get(name) ?? { text: '(it did not run)', ms: 0 }
      const passed = text === expected?.text
      const error = `prints\n${text}\ninstead of\n${expected?.text}`
      record(results, `mqadmin ${name}`, peer, passed ? { passed, ms } : { passed, ms, error })
    }
  }
}

async function casePhase(clients: Clients, peer: Peer, cluster: Cluster, results: Results): Promise<void> {
  say(`${peer.name}: sending and receiving`)
  const { java, oldJava, go } = clients
  const target = ['--namesrv', cluster.namesrv, '--threads', caseThreads]
  const only = ['--only', flags.only]
  const same = (name: string) => name
  const first = await runSuite(java, [...target, ...only, '--skip', `^${fixtureCase}$`])
  const again = (name: string) => runSuite(java, [...target, '--suffix', '_again', '--only', `^${name}$`])
  await recordWithSecondChance(first, peer, results, same, again)
  say(`${peer.name}: the same with ROCKETMQ headers, with Java 4.9 and with Go`)
  const binary = ['-Drocketmq.serialize.type=ROCKETMQ']
  const oldArgs = [...target, '--skip', `${oldJavaSkips}|^${fixtureCase}$`, '--prefix', oldJavaPrefix]
  const runOld = (suffix: string, wanted: string) =>
    runSuite(oldJava, [...oldArgs, '--suffix', suffix, '--only', wanted])
  const runGo = async (wanted: string) => readOutcomes(await go.run(cluster, wanted))
  const runBinary = (suffix: string, wanted: string) =>
    runSuite(java, [...target, '--suffix', suffix, '--only', wanted], binary)
  const suites: [Promise<Map<string, Outcome>>, typeof same, typeof again][] = [
    [
      runOld('_old', flags.only),
      (name) => oldJavaPrefix + name,
      (name) => runOld('_old_again', `^${oldJavaPrefix}${name}$`),
    ],
    [runGo(flags.only), (name) => go.prefix + name, (name) => runGo(`^${go.prefix}${name}$`)],
  ]
  if (flags.only === '') {
    suites.push([
      runBinary('_binary', binaryHeaderCases),
      (name) => `${name} (ROCKETMQ headers)`,
      (name) => runBinary('_binary_again', `^${name}$`),
    ])
  }
  for (const [outcomes, nameOf, rerun] of suites) {
    await recordWithSecondChance(await outcomes, peer, results, nameOf, rerun)
  }
}

/** A failure on Apache says that this machine was too slow, or the case is wrong: it gets a second chance, ours does not. */
async function recordWithSecondChance(
  outcomes: Map<string, Outcome>,
  peer: Peer,
  results: Results,
  nameOf: (name: string) => string,
  again: (name: string) => Promise<Map<string, Outcome>>,
): Promise<void> {
  for (const [name, outcome] of outcomes) {
    const retried = !outcome.passed && peer === apachePeer && outcomes.size > 1 ? await again(name) : undefined
    record(results, nameOf(name), peer, retried?.get(name) ?? outcome)
  }
}

/** Records a case of ours that tells what was wrong, or throws. */
async function runCase(results: Results, name: string, work: () => Promise<string[]>): Promise<void> {
  if (!new RegExp(flags.only).test(name)) return
  say(name)
  const started = performance.now()
  const outcome = await work().then(
    (problems) => ({ passed: problems.length === 0, error: problems.slice(0, 20).join('\n') }),
    // a broker that does not come back is a failed case, not the end of the report
    (error: Error) => ({ passed: false, error: error.message }),
  )
  record(results, name, ourPeer, { ...outcome, ms: Math.round(performance.now() - started) })
}

/** Our client at either implementation, both at a time: they mostly wait. */
async function clientPhase(peers: readonly Peer[], results: Results): Promise<void> {
  const isWanted = (name: string) => new RegExp(flags.only).test(`${clientPrefix} ${name}`)
  say('our client')
  await Promise.all(
    peers.map(async (peer) => {
      const outcomes = await clientCases(peer, join(workDir, `client-${peer.name}`), isWanted)
      for (const [name, outcome] of outcomes) record(results, `${clientPrefix} ${name}`, peer, outcome)
    }),
  )
}

/** A broker and a NameServer of each implementation, both brokers at both NameServers. Recorded as ours: ours takes part in each. */
async function mixedPhase({ java, oldJava, go }: Clients, peers: readonly Peer[], results: Results): Promise<void> {
  const talks: [string, Talk][] = [
    [`the client of Java ${javaClients['5.5.0'].version}`, javaTalk('java', java)],
    [`the client of ${oldJavaPrefix.replace(/: $/, '')}`, javaTalk('old-java', oldJava)],
    [`the client of ${go.prefix.replace(/: $/, '')}`, goTalk(go)],
  ]
  const work: [string, (cluster: MixedCluster) => Promise<string[]>][] = [
    ...talks.map(([who, talk]): (typeof work)[number] => [
      `${who} sends to all queues and reads them`,
      (cluster) => apacheAcrossBoth(talk, cluster),
    ]),
    ['our client sends to all queues and reads them', oursAcrossBoth],
    ['mqadmin prints the same at both NameServers', (cluster) => mqadminAtBoth(java, cluster)],
    ['a broker that leaves is forgotten by both NameServers', oneBrokerLeaves],
  ]
  const isWanted = ([name]: (typeof work)[number]) => new RegExp(flags.only).test(`${mixedPrefix} ${name}`)
  if (!peers.includes(apachePeer) || !work.some(isWanted)) return
  const cluster = await startMixedCluster(join(workDir, 'mixed'))
  try {
    await makeTopic(cluster)
    for (const [name, find] of work) await runCase(results, `${mixedPrefix} ${name}`, () => find(cluster))
  } finally {
    await cluster.stop()
  }
}

/** Masters and slaves of both implementations. Recorded as ours: ours takes part in each. */
async function replicationPhase(java: JavaProject, peers: readonly Peer[], results: Results): Promise<void> {
  const pairs = [
    [ourPeer, ourPeer],
    ...(peers.includes(apachePeer)
      ? [
          [ourPeer, apachePeer],
          [apachePeer, ourPeer],
        ]
      : []),
  ]
  for (const [master, slave] of pairs as [Peer, Peer][]) {
    const between = (kind: string) => join(workDir, `${kind}-${master.name}-${slave.name}`)
    const follows = `${replicationPrefix} a slave of ${slave.name} follows a SYNC_MASTER of ${master.name}`
    const catchesUp = `${replicationPrefix} a slave of ${slave.name} far behind catches up with a master of ${master.name}`
    // both at a time: they mostly wait, for brokers to start and for tables to be copied
    await Promise.all([
      runCase(results, follows, () => followCase(master, slave, between('follow'), java)),
      runCase(results, catchesUp, () => farBehindCase(master, slave, between('behind'))),
    ])
  }
}

/** One store directory, had by one implementation after the other. Recorded as ours: ours takes part in each. */
async function exchangePhase(peers: readonly Peer[], results: Results): Promise<void> {
  if (!peers.includes(apachePeer)) return
  const chains: Peer[][] = [
    [apachePeer, ourPeer],
    [ourPeer, apachePeer, ourPeer],
  ]
  for (const chain of chains) {
    const names = chain.map(({ name }) => name)
    // both at a time: they mostly wait, for Apache's broker to start and for delayed messages
    const endings: Ending[] = ['stopped', 'killed under load']
    await Promise.all(
      endings.map((ending) => {
        const dir = join(workDir, `exchange-${names.join('-')}-${ending.split(' ')[0]}`)
        const name = `${exchangePrefix} ${names.join(', then ')}; each ${ending}`
        return runCase(results, name, () => exchangeCase(chain, ending, dir))
      }),
    )
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const name = `${exchangePrefix} transactions, ${names.join(', then ')}; each by ${signal}`
      const dir = join(workDir, `exchange-transactions-${names.join('-')}-${signal}`)
      await runCase(results, name, () => transactionExchangeCase(chain, signal, dir))
    }
  }
}

/** Apache's client and ours at clusters of both implementations, and of one of each, that serve TLS alone. Recorded as ours. */
async function tlsPhase(java: JavaProject, peers: readonly Peer[], results: Results): Promise<void> {
  if (!new RegExp(flags.only).test(tlsPrefix)) return
  for (const namesrvPeer of peers) {
    for (const brokerPeer of peers) {
      const where = `NameServer of ${namesrvPeer.name}, broker of ${brokerPeer.name}`
      say(`${tlsPrefix} ${where}`)
      const started = performance.now()
      const cluster = await startTlsCluster(
        namesrvPeer,
        brokerPeer,
        join(workDir, `tls-${namesrvPeer.name}-${brokerPeer.name}`),
      )
      try {
        const args = ['--namesrv', cluster.namesrv, '--only', tlsCases]
        const outcomes = await runSuite(java, args, cluster.javaProperties)
        for (const [name, outcome] of outcomes) record(results, `${tlsPrefix} ${name}, ${where}`, ourPeer, outcome)
        const outcome = await ourClientCase(cluster).then(
          (problems) => ({ passed: problems.length === 0, error: problems.join('\n') }),
          (error: Error) => ({ passed: false, error: error.message }),
        )
        const ms = Math.round(performance.now() - started)
        record(results, `${tlsPrefix} our client, ${where}`, ourPeer, { ...outcome, ms })
      } finally {
        await cluster.stop()
      }
    }
  }
}

async function runSuite(java: JavaProject, args: string[], properties: string[] = []): Promise<Map<string, Outcome>> {
  const { stdout, stderr } = await java.java('conformance.Main', args, { timeoutMs: suiteTimeoutMs, properties })
  const outcomes = readOutcomes(stdout)
  if (outcomes.size === 0 && !stdout.includes('no case'))
    throw new Error(`the Java cases did not run:\n${stdout}\n${stderr}`)
  return outcomes
}

/** The lines of a program's output that tell of a case. */
function readOutcomes(stdout: string): Map<string, Outcome> {
  const outcomes = new Map<string, Outcome>()
  for (const line of stdout.split('\n').filter((text) => text.startsWith('{"case":'))) {
    const { case: name, ...outcome } = JSON.parse(line)
    outcomes.set(name, outcome)
  }
  return outcomes
}

function record(results: Results, name: string, peer: Peer, outcome: Outcome): void {
  const byPeer = results.get(name) ?? new Map<string, Outcome>()
  byPeer.set(peer.name, outcome)
  results.set(name, byPeer)
}

/** Prints the table and the summary line, keeps it as JSON lines. @returns how many cases failed */
function report(results: Results, peers: Peer[]): number {
  let failed = 0
  const lines: string[] = []
  for (const [name, byPeer] of results) {
    const isOurs = [mixedPrefix, replicationPrefix, exchangePrefix, tlsPrefix].some((prefix) => name.startsWith(prefix))
    const needed = isOurs ? [ourPeer] : peers
    const passed = needed.every((peer) => byPeer.get(peer.name)?.passed === true)
    if (!passed) failed++
    const times = needed.map((peer) => `${peer.name} ${byPeer.get(peer.name)?.ms ?? '-'} ms`).join(', ')
    console.log(`${passed ? 'passed' : 'FAILED'} ${name} (${times})`)
    for (const peer of needed) {
      const outcome = byPeer.get(peer.name)
      if (!outcome?.passed)
        console.log(`  ${peer.name}: ${(outcome?.error ?? 'did not run').replaceAll('\n', '\n    ')}`)
    }
    lines.push(JSON.stringify({ case: name, passed, ...Object.fromEntries(byPeer) }))
  }
  writeFileSync(join(workDir, 'results.jsonl'), `${lines.join('\n')}\n`)
  console.log(`conformance: ${results.size - failed} passed, ${failed} failed`)
  return results.size === 0 ? 1 : failed
}

process.exitCode = (await main()) > 0 ? 1 : 0
