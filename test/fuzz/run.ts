/**
 * Throws hostile bytes at a NameServer and a broker, plain and with TLS, while good clients ask them for answers.
 *   npm run fuzz -- [--seeds N] [--seed S] [--attacks N] [--parallel N] [--only TEXT]
 *   npm run fuzz -- --figures     what a few of them cost: figures.ts
 * One line a seed, then `fuzz: N passed, M failed`. A seed passes where nothing crashed or stood still, each request got its
 * answer and no other one, what broke a rule was closed at once and what was unfinished in time, the good clients never waited
 * for long, the log stayed short, no connection was left, and memory stayed below a limit and came back.
 */
import type { SecureVersion } from 'node:tls'
import { readFlags } from '../../scripts/flags.ts'
import { Chance } from '../../src/base/testing/chance.ts'
import { type Attack, attacks } from './attacks.ts'
import { Late } from './outcomes.ts'
import { type Kind, Peer } from './peer.ts'
import { Servers } from './servers.ts'
import { type Stage, startStage } from './stage.ts'
import { anyVersion, tlsAttacks } from './tls-attacks.ts'
import { TurnMeter } from './turn-meter.ts'

/** What the servers may hold once all is closed: their code above all, and with each seed a little more of it. */
const heldBytesMax = 28 * 1024 * 1024
const keptBytesMax = 1024 * 1024
/** What the servers may need at most, all of them together. */
const peakBytesMax = 768 * 1024 * 1024
/** How long the end of a connection may take after the last attack: less than an idle one has. */
const leftMsMax = 1_500
/** What one turn of the servers' event loop may take of a processor. */
const turnMsMax = 3_000
/** Where servers or attackers got no processor for so long, what came late is nobody's fault. */
const starvedMsMax = 500
const problemsShown = 10

const flags = readFlags(import.meta.filename, {
  seeds: { type: 'string', default: '5' },
  seed: { type: 'string', default: '1' },
  attacks: { type: 'string', default: '400' },
  parallel: { type: 'string', default: '64' },
  only: { type: 'string', default: '' },
  figures: { type: 'boolean', default: false },
})
if (flags.figures) {
  await (await import('./figures.ts')).figures()
  process.exit()
}
const [seedCount, firstSeed, attackCount, parallel] = [flags.seeds, flags.seed, flags.attacks, flags.parallel].map(
  Number,
) as [number, number, number, number]
if (![seedCount, firstSeed, attackCount, parallel].every((value) => Number.isInteger(value) && value >= 0))
  throw new Error('whole numbers are wanted')

interface Card {
  name: string
  attack: Attack
  connect(stage: Stage, chance: Chance): Promise<Peer>
}

const meter = new TurnMeter()

const deck: readonly Card[] = [
  ...attacks.flatMap(({ name, weight, attack }) => cards(weight * 8, { name, attack, connect: connectPlain })),
  ...attacks.flatMap(({ name, weight, attack }) => {
    return cards(weight * 2, { name: `${name}, in TLS`, attack, connect: connectAny('tls') })
  }),
  ...tlsAttacks.flatMap(({ name, weight, attack, kind, version, enforcing }) => {
    return cards(weight * 8, { name, attack, connect: connectAny(kind, version, enforcing) })
  }),
].filter(({ name }) => name.includes(flags.only))
if (deck.length === 0) throw new Error(`no attack has "${flags.only}" in its name`)

function cards(count: number, card: Card): Card[] {
  return Array.from({ length: count }, () => card)
}

function connectPlain({ ports }: Stage, chance: Chance): Promise<Peer> {
  return Peer.connect(chance.one([ports.broker, ports.namesrv]), 'plain')
}

function connectAny(kind: Kind, version?: SecureVersion, enforcing = false): Card['connect'] {
  return ({ ports }, chance) => {
    const options = version === undefined ? anyVersion(chance) : { maxVersion: version }
    return Peer.connect(enforcing ? ports.tls : chance.one(Object.values(ports)), kind, options)
  }
}

interface Problems {
  sure: string[]
  /** Which a busy machine can be the reason of. */
  timed: string[]
}

async function attackAll(stage: Stage, servers: Servers, chance: Chance): Promise<Problems> {
  const problems: Problems = { sure: [], timed: [] }
  const underWay = new Map<number, string>()
  let left = attackCount
  const one = async (id: number) => {
    const { name, attack, connect } = chance.one(deck)
    const own = chance.fork()
    underWay.set(id, name)
    let peer: Peer | undefined
    try {
      peer = await connect(stage, own)
      const problem = await attack(peer, own, stage)
      if (problem instanceof Late) problems.timed.push(`${name}: ${problem.text}`)
      else if (problem !== undefined) problems.sure.push(`${name}: ${problem}`)
    } catch (error) {
      problems.timed.push(`${name}: ${error instanceof Error ? error.message : error}`)
    }
    problems.sure.push(...(peer?.problems ?? []).map((text) => `${name}: ${text}`))
    peer?.destroy()
    if (servers.failure === undefined) underWay.delete(id)
  }
  const worker = async () => {
    while (left-- > 0 && servers.failure === undefined) await one(left)
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  if (servers.failure === undefined) return problems
  return { sure: [`${servers.failure}, during: ${[...new Set(underWay.values())].join('; ')}`], timed: [] }
}

/** Connections that are open although nobody is at their other end. */
async function leftOver(servers: Servers): Promise<number> {
  for (const untilMs = performance.now() + leftMsMax; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const open = await servers.call('open')
    if (open === 0 || performance.now() > untilMs) return open
  }
}

interface Result extends Problems {
  facts: string[]
  /** Undefined: its process is gone. */
  heldBytes: number | undefined
}

async function runSeed(seed: number, servers: Servers): Promise<Result> {
  const sure: string[] = []
  const timed: string[] = []
  const facts: string[] = []
  try {
    const stage = await startStage(servers)
    await servers.call('turns') // starting takes longer than serving
    meter.take()
    const problems = await attackAll(stage, servers, new Chance(seed))
    await stage.leave()
    sure.push(...problems.sure)
    timed.push(...problems.timed, ...stage.problems)
    facts.push(`good clients waited ${stage.worstMs()} ms`)

    const open = await leftOver(servers)
    if (open > 0) timed.push(`${open} connections are open ${leftMsMax} ms after their peers went`)
    const { busyMs, starvedMs: serversStarvedMs } = await servers.call('turns')
    const starvedMs = Math.max(serversStarvedMs, meter.take().starvedMs)
    facts.push(`a turn took ${busyMs} ms`)
    if (busyMs > turnMsMax) sure.push(`a turn of the event loop took ${busyMs} ms, and ${turnMsMax} ms are the limit`)
    if (starvedMs > starvedMsMax && timed.length > 0) {
      facts.push(`the machine was busy for ${starvedMs} ms: not judged: ${timed.splice(0).length}`)
    }
    await servers.call('stop')
    sure.push(...(await servers.call('problems')))
    const { heldBytes, peakBytes } = await servers.call('memory')
    facts.push(`memory was ${mebibytes(peakBytes)} MiB and is ${mebibytes(heldBytes)} MiB`)
    if (peakBytes > peakBytesMax) sure.push(`memory was ${peakBytes} bytes, and ${peakBytesMax} are the limit`)
    return { sure, timed, facts, heldBytes }
  } catch (error) {
    if (servers.failure === undefined) sure.push(...(await servers.call('problems').catch(() => [])))
    if (sure.length === 0) sure.push(String(error))
    return { sure, timed, facts, heldBytes: undefined }
  }
}

const mebibytes = (bytes: number) => Math.round((bytes / 1024 / 1024) * 10) / 10
let failed = 0
let servers = new Servers()
let baseline: { bytes: number; seed: number } | undefined // after the first seed of a process, which compiles and caches
for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
  const startedAtMs = performance.now()
  const { sure, timed, facts, heldBytes } = await runSeed(seed, servers)
  if (heldBytes !== undefined) {
    baseline ??= { bytes: heldBytes, seed }
    const keptBytes = heldBytes - baseline.bytes
    if (heldBytes > heldBytesMax || keptBytes > keptBytesMax * (seed - baseline.seed))
      sure.push(`${heldBytes} bytes are held, ${keptBytes} more than after seed ${baseline.seed}`)
  }
  const problems = [...sure, ...timed]
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
  console.log(
    `${problems.length === 0 ? 'passed' : 'FAILED'} seed ${seed} in ${seconds} s: at most ${facts.join(', ')}`,
  )
  for (const problem of problems.slice(0, problemsShown)) console.log(`  ${problem.replaceAll('\n', '\n    ')}`)
  if (problems.length > problemsShown) console.log(`  and ${problems.length - problemsShown} more`)
  if (problems.length === 0) continue
  failed++
  servers.end()
  servers = new Servers() // the next seed is judged by itself
  baseline = undefined
}
servers.end()
console.log(`fuzz: ${seedCount - failed} passed, ${failed} failed`)
process.exit(failed > 0 || seedCount === 0 ? 1 : 0)
