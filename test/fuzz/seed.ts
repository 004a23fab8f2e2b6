import { nodeClock } from '../../src/base/node/index.ts'
import { Chance } from '../../src/base/testing/chance.ts'
import type { Card } from './deck.ts'
import { Late } from './outcomes.ts'
import type { Peer } from './peer.ts'
import type { Servers } from './servers.ts'
import { type Stage, startStage } from './stage.ts'
import type { Live, Memory } from './target.ts'
import { TurnMeter } from './turn-meter.ts'

const mebibyte = 1024 * 1024
/** What the servers may need at most, all of them together: resident, and of buffers whether or not these were touched. */
const peakBytesMax = 768 * mebibyte
const buffersMostBytesMax = 512 * mebibyte
/** What may wait for all peers together: from 128 MiB on each of them may only let one answer wait. */
const queuedMostBytesMax = 320 * mebibyte
/**
 * What buffers may hold more when the servers are stopped than before they started: 6.5 MiB of it is what they may keep to use
 * again (SpareBuffers of requests, bodies and copies; chunks that answers leave from).
 */
const buffersKeptBytesMax = 8 * mebibyte
const descriptorsMoreMax = 2
/** Of connections and of requests, once all peers are gone: the servers speak to each other. */
const liveMoreMax = 2
/** Pulls of those that are gone are held until the broker next looks through them. */
const holdMsMax = 7_000
/** How long the end of a connection may take after the last attack: less than an idle one has. */
const leftMsMax = 1_500
/** What one turn of the servers' event loop may take of a processor. */
const turnMsMax = 3_000
/** Where servers or attackers got no processor for so long, what came late is nobody's fault. */
const starvedMsMax = 500

/** What comes over how many connections, and how many of them at once. */
export interface Plan {
  deck: readonly Card[]
  attacks: number
  parallel: number
}

interface Problems {
  sure: string[]
  /** Which a busy machine can be the reason of. */
  timed: string[]
}

async function attackAll(
  { deck, attacks, parallel }: Plan,
  stage: Stage,
  servers: Servers,
  chance: Chance,
): Promise<Problems> {
  const problems: Problems = { sure: [], timed: [] }
  const underWay = new Map<number, string>()
  let left = attacks
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
  for (const untilMs = performance.now() + leftMsMax; ; await nodeClock.sleep(20)) {
    const open = await servers.call('open')
    if (open === 0 || performance.now() > untilMs) return open
  }
}

export interface Result {
  problems: string[]
  facts: string[]
  /** Undefined: its process is gone. */
  heldBytes: number | undefined
}

/** Starts the servers, lets all attacks of a seed at them, and stops them. @returns what should not have been, and figures */
export async function runSeed(seed: number, plan: Plan, servers: Servers): Promise<Result> {
  const sure: string[] = []
  const facts: string[] = []
  const meter = new TurnMeter()
  try {
    const before = await servers.call('memory')
    const stage = await startStage(servers)
    const atFirst = await servers.call('live')
    await servers.call('turns') // starting takes longer than serving
    meter.take()
    const problems = await attackAll(plan, stage, servers, new Chance(seed))
    await stage.leave()
    sure.push(...problems.sure)
    const timed = [...problems.timed, ...stage.problems]
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
    if (open === 0) sure.push(...(await kept(atFirst, servers)))
    await servers.call('stop')
    sure.push(...(await servers.call('problems')))
    const after = await servers.call('memory')
    facts.push(`memory was ${mebibytes(after.peakBytes)} MiB and is ${mebibytes(after.heldBytes)} MiB`)
    sure.push(...excess(before, after))
    return { problems: [...sure, ...timed], facts, heldBytes: after.heldBytes }
  } catch (error) {
    if (servers.failure === undefined) sure.push(...(await servers.call('problems').catch(() => [])))
    if (sure.length === 0) sure.push(String(error))
    return { problems: sure, facts, heldBytes: undefined }
  } finally {
    meter.stop()
  }
}

/** What the servers still know of peers that are all gone. */
async function kept(atFirst: Live, servers: Servers): Promise<string[]> {
  const names = ['connections', 'requests'] as const
  for (const untilMs = performance.now() + holdMsMax; ; await nodeClock.sleep(holdMsMax / 10)) {
    const live = await servers.call('live')
    const kept = names.filter((name) => live[name] > atFirst[name] + liveMoreMax)
    if (kept.length === 0) return []
    if (performance.now() < untilMs) continue
    return kept.map(
      (name) => `${live[name]} ${name} are kept when all peers are gone, and ${atFirst[name]} were at first`,
    )
  }
}

/** What the servers needed, or still have when they are stopped, beyond what they may. */
function excess(before: Memory, after: Memory): string[] {
  const rows: [what: string, value: number, max: number][] = [
    ['bytes of memory were needed', after.peakBytes, peakBytesMax],
    ['bytes of buffers were needed', after.buffersMostBytes, buffersMostBytesMax],
    ['bytes waited for peers to read them', after.queuedMostBytes, queuedMostBytesMax],
    ['bytes of buffers are kept', after.buffersBytes, before.buffersBytes + buffersKeptBytesMax],
    ['files and sockets are open', after.descriptors, before.descriptors + descriptorsMoreMax],
    ['timers go on', after.timers, before.timers],
  ]
  return rows.filter(([, value, max]) => value > max).map(([what, value, max]) => `${value} ${what}, and ${max} may`)
}

const mebibytes = (bytes: number) => Math.round((bytes / mebibyte) * 10) / 10
