import type { Audit } from './audit.ts'
import type { Faults } from './faults.ts'
import { type History, type Transaction, topic } from './history.ts'
import { recordAt } from './rules.ts'
import type { Scenario } from './scenario.ts'
import type { Machine } from './world.ts'

/** What is wrong with transactions when all half messages were passed. That nobody gets one without its commit: History.recognize. */
export function* wrongTransactions(
  scenario: Scenario,
  history: History,
  { stored, givenUp }: Audit,
  faults: Faults,
): Generator<string> {
  for (const transaction of history.transactions.values()) {
    const { sent, outcome, half, toldAtMs, endedAtMs } = transaction
    const { key } = sent
    const places = stored.get(key) ?? []
    const isEnded = places.length > 0 || givenUp.has(key) || outcome === 'ROLLBACK'
    const isSafe = half && (scenario.flushDiskType === 'SYNC_FLUSH' || !faults.mayHaveLost(sent.atMs, half.atMs))
    if (isSafe && !isEnded) {
      yield `the half message ${key}, acknowledged at ${half.atMs.toFixed(1)}, was neither committed nor given up`
    }
    if (outcome !== 'COMMIT' || toldAtMs === undefined) continue
    if (endedAtMs !== undefined && places.length === 0) {
      const mustBeThere = isEndSafe(scenario, transaction) || !faults.mayHaveLost(toldAtMs, endedAtMs)
      if (mustBeThere) yield `the commit of ${key} was acknowledged at ${endedAtMs.toFixed(1)}, and it is nowhere`
    }
    // A master knows nothing of the copies that an earlier run made of what ends now; and nobody knows when it took an end that
    // it did not acknowledge: it may have died since.
    const mayBeTwo =
      scenario.transactionRetries > 0 || faults.mayHaveForgotten(sent.atMs, endedAtMs ?? Number.POSITIVE_INFINITY)
    if (places.length > 1 && !mayBeTwo) {
      const where = places.map(({ queueId, queueOffset }) => `${queueId}:${queueOffset}`).join(' ')
      yield `${key}, whose commit was told from ${toldAtMs.toFixed(1)} on, is there more than once: ${where}`
    }
  }
}

/** What is wrong with an acknowledged commit at its very moment: the disk must have the message that consumers get. */
export function brokenEnd(
  scenario: Scenario,
  transaction: Transaction,
  master: Machine,
  faults: Faults,
): string | undefined {
  const { sent, outcome, half, toldAtMs, endedAtMs } = transaction
  if (outcome !== 'COMMIT' || half === undefined || toldAtMs === undefined || endedAtMs === undefined) return undefined
  const isFlushed = isEndSafe(scenario, transaction)
  if (!isFlushed && faults.mayHaveLost(sent.atMs, endedAtMs)) return undefined
  if (isInTopic(scenario, master, sent.key, half.phyOffset, isFlushed)) return undefined
  const where = isFlushed ? 'a power cut would leave' : 'the master has'
  return `the commit of ${sent.key} was acknowledged, and ${where} only its half message`
}

/** Whether an acknowledged end survives a power cut. A flush that takes too long is no failure, and the answer does not tell. */
function isEndSafe({ flushDiskType, syncFlushTimeout }: Scenario, { toldAtMs, endedAtMs }: Transaction): boolean {
  return flushDiskType === 'SYNC_FLUSH' && endedAtMs! - toldAtMs! < syncFlushTimeout
}

/** Whether the log has the message in its own topic behind its half message. */
function isInTopic(scenario: Scenario, master: Machine, key: string, halfOffset: number, isSafe: boolean): boolean {
  const { segmentBytes } = scenario
  for (let phyOffset = halfOffset; ; ) {
    const record = recordAt(scenario, master, phyOffset, isSafe)
    if (typeof record !== 'string') {
      if (record.topic === topic && record.properties.get('key') === key) return true
      phyOffset += record.size
    } else if (record === 'no file') return false
    else phyOffset += segmentBytes - (phyOffset % segmentBytes) // what is left of a segment is blank
  }
}
