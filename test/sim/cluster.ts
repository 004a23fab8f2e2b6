import type { Doors } from '../../src/base/doors.ts'
import { isOperatingError, messageOf, type OperatingError } from '../../src/base/errors.ts'
import { startBroker } from '../../src/runtime-broker/broker/broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { brokerSettingsOf, type Machine as Host, namesrvSettingsOf, type Properties } from '../../src/tunables/index.ts'
import type { Scenario } from './scenario.ts'
import type { Death, Machine, SimProcess, World } from './world.ts'

/** A program that was started. */
export interface Program {
  /** Ends it in an orderly way, where it has one. */
  stop?(): Promise<void>
}

/** A clean stop that takes longer is killed: Kubernetes gives the process 60 s. */
const stopMsMax = 60_000
const startMsMax = 120_000

/** A program that is started again whenever it ended, as Kubernetes would. */
export class Unit {
  readonly machine: Machine
  /** Starts of it that succeeded. */
  startCount = 0
  running: Program | undefined
  /** What the next start dies of, by chance; set by faults. */
  nextDeath: SimProcess['dieAtChange']
  /** Told each time that it died. */
  onDeath: (death: Death) => void = () => {}
  /** Told each time that it serves. */
  onStarted: () => void = () => {}
  /** How long it stays away after its next end; set by faults. */
  nextRestartMs: number | undefined
  readonly #world: World
  readonly #start: (process: SimProcess) => Promise<Program>
  readonly #restartMs: () => number
  #isWanted = true

  constructor(world: World, name: string, start: (process: SimProcess) => Promise<Program>, restartMs: () => number) {
    this.machine = world.machine(name)
    this.#world = world
    this.#start = start
    this.#restartMs = restartMs
  }

  get name(): string {
    return this.machine.name
  }

  get isUp(): boolean {
    return this.running !== undefined
  }

  launch(): void {
    if (this.machine.process !== undefined || !this.#isWanted) return
    const process = this.#world.start(this.machine)
    process.dieAtChange = this.nextDeath
    this.nextDeath = undefined
    process.onEnd = (death) => {
      this.running = undefined
      this.onDeath(death)
      const restartMs = this.nextRestartMs ?? this.#restartMs()
      this.nextRestartMs = undefined
      this.#world.timeline.after(restartMs, () => this.launch())
    }
    process.run(() => {
      const starting = this.#start(process)
      const late = this.#world.timeline.after(startMsMax, () => {
        if (process.isAlive) this.#world.problem(`${this.name} did not start within ${startMsMax} ms`)
      })
      starting.then(
        (running) => {
          late.cancel()
          if (!process.isAlive) return
          this.running = running
          this.startCount++
          this.onStarted()
        },
        (error: unknown) => {
          late.cancel()
          if (!process.isAlive) return
          if (isOfDisk(error)) {
            this.#world.trace.add(this.name, `does not start: ${error.message}`)
            this.#world.end(process, 'exit')
            return
          }
          const words = isOperatingError(error)
            ? error.message
            : error instanceof Error
              ? error.stack
              : messageOf(error)
          this.#world.problem(`${this.name} did not start: ${words}`)
          this.#world.end(process, 'kill')
        },
      )
    })
  }

  die(death: Death): void {
    const { process } = this.machine
    if (process !== undefined) this.#world.end(process, death)
  }

  /** An orderly end; the unit is started again after it. */
  stop(): void {
    const { process } = this.machine
    const stop = this.running?.stop
    if (process === undefined || stop === undefined) return
    this.#world.trace.add(this.name, 'is told to stop')
    this.running = undefined
    const late = this.#world.timeline.after(stopMsMax, () => {
      if (!process.isAlive) return
      this.#world.problem(`${this.name} did not stop within ${stopMsMax} ms`)
      this.#world.end(process, 'kill')
    })
    process.run(() => {
      stop().then(
        () => {
          late.cancel()
          if (process.isAlive) this.#world.end(process, 'exit')
        },
        (error: unknown) => this.#world.threw(error, `${this.name} did not stop`),
      )
    })
  }

  /** Ends it for good. */
  retire(): void {
    this.#isWanted = false
    this.die('kill')
  }
}

/** Only a disk that was made to fail says so. */
function isOfDisk(error: unknown): error is OperatingError {
  return isOperatingError(error, 'FILE_FAILED') && ['ENOSPC', 'EIO'].includes(String(error.facts.code))
}

export const namesrvAddr = 'namesrv:9876'
export const brokerName = 'broker-a'
export const brokerPort = 10_911
export const storeDir = '/store'

export function namesrvUnit(world: World, restartMs: () => number): Unit {
  const start = (process: SimProcess) => {
    const settings = { kvConfigPath: '/namesrv/kv.json', configStorePath: '/namesrv/namesrv.properties' }
    process.doors.files.makeDirectory('/namesrv')
    return startNameServer(namesrvSettingsOf(propertiesOf(settings), hostOf(process)), process.doors)
  }
  return new Unit(world, 'namesrv', start, restartMs)
}

export function brokerUnit(world: World, scenario: Scenario, brokerId: number, restartMs: () => number): Unit {
  const start = (process: SimProcess) => {
    const settings = {
      namesrvAddr,
      brokerName,
      brokerId,
      brokerRole: brokerId > 0 ? 'SLAVE' : scenario.brokerRole,
      flushDiskType: scenario.flushDiskType,
      syncFlushTimeout: scenario.syncFlushTimeout,
      slaveReadEnable: scenario.readsFromSlave,
      inSyncReplicas: scenario.inSyncReplicas,
      storePathRootDir: storeDir,
      mappedFileSizeCommitLog: scenario.segmentBytes,
      mappedFileSizeConsumeQueue: scenario.consumeQueueFileBytes,
      maxMessageSize: 16 * 1024,
      maxHashSlotNum: 100,
      maxIndexNum: 400,
      transactionTimeOut: scenario.transactionTimeOut,
      transactionCheckInterval: scenario.transactionCheck[0],
      transactionCheckMax: scenario.transactionCheck[1],
      transactionOpBatchInterval: scenario.transactionOpBatchInterval,
    }
    return startBroker(brokerSettingsOf(propertiesOf(settings), hostOf(process)), process.doors)
  }
  const unit = new Unit(world, ['master', 'slave', 'slave-2'][brokerId]!, start, restartMs)
  unit.machine.disk.syncMs = scenario.syncMs
  return unit
}

function propertiesOf(settings: Record<string, unknown>): Properties {
  return new Map(Object.entries(settings).map(([key, value]) => [key, { value: String(value), from: 'sim' }]))
}

function hostOf({ machine, doors }: { machine: Machine; doors: Doors }): Host {
  return {
    hostName: machine.name,
    address: machine.host,
    namesrvAddr: undefined,
    path: (text) => text,
    log: doors.log,
  }
}
