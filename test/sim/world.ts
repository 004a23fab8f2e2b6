import type { Doors } from '../../src/base/doors.ts'
import { isOperatingError, messageOf } from '../../src/base/errors.ts'
import type { Log, LogFields, LogLevel } from '../../src/base/log.ts'
import { processClock } from './doors/clock.ts'
import { Disk, ProcessDead } from './doors/disk.ts'
import { SimNetwork } from './doors/network.ts'
import { SeededRandom } from './doors/random.ts'
import { Timeline } from './doors/timeline.ts'
import { Trace } from './trace.ts'

/** How a process ends. kill: its machine lives on, and has all that it wrote; powerCut: the machine stops too. */
export type Death = 'kill' | 'powerCut' | 'exit'

/** A machine: an address, a disk, a wall clock, and at most one process. */
export interface Machine {
  readonly name: string
  readonly host: string
  readonly disk: Disk
  skewMs: number
  process: SimProcess | undefined
}

/** One run of a program on a machine. After its end nothing of it runs any more. */
export class SimProcess {
  readonly name: string
  readonly host: string
  readonly machine: Machine
  readonly doors: Doors
  isAlive = true
  /** Changes of the disk until the process dies at one of them; undefined: it does not. */
  dieAtChange: { left: number; death: Death } | undefined
  /** Told once, when it has ended. */
  onEnd: (death: Death) => void = () => {}
  readonly #world: World

  constructor(world: World, machine: Machine, incarnation: number) {
    this.name = machine.name
    this.host = machine.host
    this.machine = machine
    this.#world = world
    const { timeline, network } = world
    const random = SeededRandom.of(world.seed, `${machine.name}#${incarnation}`)
    const run = (task: () => void) => this.run(task)
    this.doors = {
      clock: processClock({ timeline, random: random.fork(), skewMs: () => machine.skewMs, run }),
      files: machine.disk.filesOf(this),
      network: network.of(this),
      random: random.fork(),
      log: world.logOf(this, {}),
    }
  }

  run(task: () => void): void {
    if (this.isAlive) this.#world.attribute(this, task)
  }

  beforeChange(operation: string, path: string): void {
    const due = this.dieAtChange
    if (due === undefined || due.left-- > 0) return
    this.dieAtChange = undefined
    this.#world.trace.add(this.name, `dies at ${operation} ${path}`)
    this.#world.end(this, due.death)
  }
}

/** What a broker says whose disk cannot sync. */
const cannotFlush = 'the store cannot be flushed: new messages are refused until a restart'

/** What no broker says whose files are as it left them. */
const neverSaid = new Set([
  'a table cannot be read: trying its backup',
  'what came from the master is no record: cut, and asked for again',
])

/** Machines, the network between them, and time: everything follows from the seed. */
export class World {
  readonly seed: number
  readonly timeline = new Timeline()
  readonly random: SeededRandom
  readonly network: SimNetwork
  readonly machines = new Map<string, Machine>()
  readonly trace: Trace
  /** What must not have been. */
  readonly problems: string[] = []
  readonly #incarnations = new Map<string, number>()
  #diedAtEvent = -1

  constructor(seed: number) {
    this.seed = seed
    this.random = SeededRandom.of(seed, 'world')
    this.network = new SimNetwork(this.timeline, SeededRandom.of(seed, 'network'))
    this.trace = new Trace(() => `${this.timeline.nowMs.toFixed(3).padStart(11)} ${this.timeline.eventCount}`)
    this.timeline.onError = (error) => this.threw(error, 'the simulation threw')
  }

  machine(name: string): Machine {
    let machine = this.machines.get(name)
    if (machine === undefined) {
      const host = `10.0.0.${this.machines.size + 1}`
      const disk = new Disk(this.timeline, SeededRandom.of(this.seed, `disk of ${name}`))
      machine = { name, host, disk, skewMs: 0, process: undefined }
      this.machines.set(name, machine)
      this.network.name(name, host)
    }
    return machine
  }

  /** Starts a process on a machine that has none, and gives it its doors. */
  start(machine: Machine): SimProcess {
    const incarnation = (this.#incarnations.get(machine.name) ?? 0) + 1
    this.#incarnations.set(machine.name, incarnation)
    this.network.powerBack(machine.host)
    const process = new SimProcess(this, machine, incarnation)
    machine.process = process
    this.trace.add(machine.name, `starts, for the ${incarnation}. time`)
    return process
  }

  end(process: SimProcess, death: Death): void {
    if (!process.isAlive) return
    this.trace.add(process.name, death)
    process.isAlive = false
    process.machine.process = undefined
    this.#diedAtEvent = this.timeline.eventCount
    if (death === 'powerCut') {
      process.machine.disk.cutPower()
      this.network.powerLost(process.host)
    } else {
      process.machine.disk.crashProcess()
      this.network.processDied(process)
    }
    process.onEnd(death)
  }

  /** Runs a task in the name of a process: what it throws is said of that. */
  attribute(process: SimProcess, task: () => void): void {
    try {
      task()
    } catch (error) {
      // Where a process dies within a task, the rest of it runs on without a hold on anything.
      if (process.isAlive) this.threw(error, `${process.name} threw`)
    }
  }

  /** Something was thrown that nobody caught; a real process would have ended by it. */
  threw(error: unknown, how: string): void {
    if (isOfTheDead(error) || this.#diedAtEvent === this.timeline.eventCount) return
    this.problem(`${how}: ${error instanceof Error ? error.stack : messageOf(error)}`)
  }

  problem(text: string): void {
    this.trace.add('PROBLEM', text)
    this.problems.push(text)
  }

  logOf(process: SimProcess, common: LogFields): Log {
    const line = (level: LogLevel) => (fields: LogFields, message: string) => {
      if (!process.isAlive) return
      const { err } = fields
      const facts = Object.entries({ ...common, ...fields }).map(([key, value]) => `${key}=${text(value)}`)
      if (level !== 'debug' && level !== 'trace') this.trace.add(process.name, `${level} ${message} ${facts.join(' ')}`)
      const isBug = err instanceof Error && !isOperatingError(err) && !isOfTheDead(err)
      if (neverSaid.has(message)) this.problem(`${process.name} said: ${message} ${facts.join(' ')}`)
      const mayBeFatal = message === cannotFlush && process.machine.disk.hasFailedSyncs
      if ((level === 'fatal' && !mayBeFatal) || (level !== 'debug' && isBug)) {
        this.problem(
          `${process.name} logged ${level}: ${message} ${err instanceof Error ? err.stack : facts.join(' ')}`,
        )
      }
    }
    return {
      fatal: line('fatal'),
      error: line('error'),
      warn: line('warn'),
      info: line('info'),
      debug: line('debug'),
      trace: line('trace'),
      with: (fields) => this.logOf(process, { ...common, ...fields }),
    }
  }
}

/** Whether a dead process met its end there, directly or as a cause. */
function isOfTheDead(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof ProcessDead) return true
  return false
}

function text(value: unknown): string {
  return value instanceof Error ? value.message : typeof value === 'string' ? value : JSON.stringify(value)
}
