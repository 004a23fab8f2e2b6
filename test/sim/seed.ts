import { type Audit, audit } from './audit.ts'
import { adminUnit, consumerUnit, lateReaderUnit, producerUnit } from './clients.ts'
import { brokerUnit, namesrvUnit, Unit } from './cluster.ts'
import { SeededRandom } from './doors/random.ts'
import { Faults } from './faults.ts'
import { History } from './history.ts'
import { lackSlave, mayLackSlave } from './lone-slave.ts'
import { brokenPromise, hasWholeLog, lostMessages, missedMessages, slaveDifference } from './rules.ts'
import { type Scenario, scenarioOf } from './scenario.ts'
import { transactionWatchUnit } from './transaction-clients.ts'
import { brokenEnd, wrongTransactions } from './transaction-rules.ts'
import { World } from './world.ts'

/** What one seed came to. */
export interface Outcome {
  seed: number
  scenario: Scenario
  /** Empty: it passed. */
  problems: string[]
  digest: string
  lastLines: readonly string[]
  simulatedMs: number
  events: number
  acked: number
  /** Ends of transactions that were acknowledged. */
  ended: number
  consumed: number
}

const setupMsMax = 60_000
/** After all was healed a send, an end of a transaction and a consumption must succeed within this. */
const recoveryMsMax = 60_000
/** And everything that was acknowledged be consumed within this. */
const quietMsMax = 120_000
const auditMsMax = 60_000
/** A pass may be late by what it does, and begins anew where the broker was started again. */
const passMsMax = 5_000

/** Runs one seed from beginning to end. @param onLine told each line of the trace */
export async function runSeed(seed: number, onLine?: (line: string) => void): Promise<Outcome> {
  const world = new World(seed)
  world.trace.onLine = onLine
  const uncaught = (error: unknown) => world.threw(error, 'unhandled rejection')
  process.on('unhandledRejection', uncaught)
  try {
    return await play(world)
  } finally {
    process.off('unhandledRejection', uncaught)
  }
}

/** By then each transaction has ended or was given up: all that is asked is asked of producers that answer. */
function endMsMax({ transactionTimeOut, transactionCheck: [intervalMs, countMax] }: Scenario): number {
  return transactionTimeOut + (countMax + 2) * (intervalMs + passMsMax)
}

async function play(world: World): Promise<Outcome> {
  const { timeline, random, trace, problems } = world
  const scenario = scenarioOf(random, SeededRandom.of(world.seed, 'slaves'))
  trace.add('scenario', JSON.stringify(scenario))
  const history = new History()
  let isSending = true
  const restartMs = () => random.scaled(50, 15_000)
  const namesrv = namesrvUnit(world, restartMs)
  const master = brokerUnit(world, scenario, 0, restartMs)
  const slaves = Array.from({ length: scenario.slaves }, (_, at) => brokerUnit(world, scenario, at + 1, restartMs))
  const producer = producerUnit(world, scenario, history, () => isSending, restartMs)
  const consumers = Array.from({ length: scenario.consumers }, (_, at) =>
    consumerUnit(world, scenario, at + 1, history, restartMs),
  )
  const units = [namesrv, master, ...slaves, producer, ...consumers]
  const until = async (isDone: () => boolean, ms: number, what: string) => {
    await timeline.run(timeline.nowMs + ms, () => isDone() || problems.length > 0)
    if (problems.length === 0 && !isDone()) world.problem(`${what} did not happen within ${ms} ms`)
    return problems.length === 0
  }
  const outcome = () => ({
    seed: world.seed,
    scenario,
    problems,
    digest: trace.digest(),
    lastLines: trace.lastLines,
    simulatedMs: Math.round(timeline.nowMs),
    events: timeline.eventCount,
    acked: history.ackCount,
    ended: history.endCount,
    consumed: history.consumed.size,
  })

  let isReady = false
  const admin = adminUnit(world, scenario, () => {
    isReady = true
    if (scenario.cutsPowerAtTopic) master.die('powerCut')
  })
  for (const unit of [namesrv, master, ...slaves, admin]) unit.launch()
  if (!(await until(() => isReady, setupMsMax, 'the topic’s creation'))) return outcome()
  admin.retire()
  producer.launch()
  for (const consumer of consumers) consumer.launch()

  const faults = new Faults(world, scenario, { namesrv, master, slaves, producer, consumers }, history)
  const machines = { master: master.machine, slaves: slaves.map(({ machine }) => machine) }
  history.onAck.push((sent, ack) => {
    const problem = brokenPromise(scenario, { sent, ack }, machines, faults)
    if (problem !== undefined) world.problem(problem)
  })
  history.onEnd.push((transaction) => {
    const problem = brokenEnd(scenario, transaction, master.machine, faults)
    if (problem !== undefined) world.problem(problem)
  })
  if (mayLackSlave(scenario)) {
    await lackSlave(world, scenario, slaves, faults, history, SeededRandom.of(world.seed, 'lone slave'))
    if (problems.length > 0) return outcome()
  }
  faults.schedule(random.fork())
  await timeline.run(timeline.nowMs + scenario.busyMs, () => problems.length > 0)
  if (problems.length > 0) return outcome()

  trace.add('world', 'heals')
  faults.heal()
  const ackedBefore = history.ackCount
  const endedBefore = history.endCount
  const consumedBefore = history.consumed.size
  const isBack = () =>
    units.every(({ isUp }) => isUp) &&
    history.ackCount > ackedBefore &&
    (scenario.transactors === 0 || history.endCount > endedBefore) &&
    (consumers.length === 0 || history.consumed.size > consumedBefore)
  if (!(await until(isBack, recoveryMsMax, 'recovery: sends and a consumption after all was healed'))) return outcome()

  isSending = false
  trace.add('world', 'sends no more')
  const auditor = new Unit(
    world,
    'auditor',
    async (process) => {
      found = await audit(world, process, scenario.queues, history)
      return {}
    },
    () => 1_000,
  )
  let found: Audit | undefined
  await timeline.run(timeline.nowMs + 10_000, () => problems.length > 0) // sends under way end
  if (scenario.transactors > 0) {
    let isOpen = true
    const watcher = transactionWatchUnit(world, () => (isOpen = false))
    watcher.launch()
    if (!(await until(() => !isOpen, endMsMax(scenario), 'the end of each transaction'))) return outcome()
    watcher.retire()
  }
  auditor.launch()
  if (!(await until(() => found !== undefined, auditMsMax, 'the audit'))) return outcome()
  const { stored, givenUp } = found!
  for (const problem of lostMessages(scenario, history, stored, faults)) world.problem(problem)
  for (const problem of wrongTransactions(scenario, history, { stored, givenUp }, faults)) world.problem(problem)
  if (problems.length > 0) return outcome()

  if (consumers.length > 0) {
    const isConsumed = () => missedMessages(history, stored, faults).next().done === true
    await timeline.run(timeline.nowMs + quietMsMax, () => problems.length > 0 || isConsumed())
    for (const problem of missedMessages(history, stored, faults)) world.problem(problem)
    if (problems.length > 0) return outcome()
  }
  if (slaves.length > 0) {
    const differences = () =>
      slaves.flatMap(({ name, machine }) => {
        const difference = slaveDifference(master.machine, machine)
        return difference === undefined ? [] : [`${name}: ${difference}`]
      })
    await timeline.run(timeline.nowMs + quietMsMax, () => problems.length > 0 || differences().length === 0)
    const remaining = differences()
    for (const difference of remaining) world.problem(difference)
    const isWhole = ({ machine }: Unit) => hasWholeLog(machine)
    if (remaining.length === 0 && scenario.readsFromSlave && slaves.some(isWhole)) {
      trace.add('world', 'loses its master')
      master.retire()
      for (const slave of slaves) if (!isWhole(slave)) slave.retire() // a reader that it answers would lack the rest
      const seen = new Set<string>()
      lateReaderUnit(world, history, seen).launch()
      const missing = () => [...stored.keys()].filter((key) => !seen.has(key))
      const hasAll = () => missing().length === 0
      await until(hasAll, quietMsMax, 'reading all that there is from slaves alone')
      if (!hasAll()) world.problem(`the late reader lacks ${missing().slice(0, 10)}`)
    }
  }
  return outcome()
}
