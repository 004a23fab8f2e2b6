import { offsetName } from '../../src/runtime-broker/store/segments.ts'
import { storeDir, type Unit } from './cluster.ts'
import { usualLatencyMs } from './doors/network.ts'
import type { SeededRandom } from './doors/random.ts'
import type { History } from './history.ts'
import type { Scenario } from './scenario.ts'
import type { Death, Machine, World } from './world.ts'

export interface Cast {
  namesrv: Unit
  master: Unit
  slaves: readonly Unit[]
  producer: Unit
  consumers: readonly Unit[]
}

/** What goes wrong, how often in relation to others. */
const fates = {
  death: 4,
  deathAtChange: 5,
  deathAtAck: 3,
  stop: 2,
  restartAll: 1,
  partition: 5,
  slowDisk: 2,
  fullDisk: 2,
  badWrites: 1,
  badSyncs: 3,
  badSector: 2,
  masterAway: 2,
  slowNetwork: 1,
  clockJump: 1,
} as const
type Fate = keyof typeof fates
const deck = Object.entries(fates).flatMap(([fate, weight]) => Array.from({ length: weight }, () => fate as Fate))

/** Messages of a queue that consumers may have been given, and that nobody else has heard of yet. */
const unseenMax = 100
const hourMs = 3_600_000
const sectorBytes = 512
const flushIntervalMs = 520 // flushIntervalCommitLog, and how late a timer may be

/** What goes wrong, and what of it messages may be excused by. */
export class Faults {
  readonly #world: World
  readonly #scenario: Scenario
  readonly #cast: Cast
  readonly #history: History
  /** When the master's power was cut, and since when what it flushed may not have reached the disk. */
  readonly #cuts: { atMs: number; unflushedSinceMs: number }[] = []
  /** When the master died. */
  readonly #deathsMs: number[] = []
  /** When the master's disk failed to write or to sync, each time until it was mended and used anew. */
  readonly #failures: { fromMs: number; toMs: number }[] = []
  /** The latest that each machine's clock has shown, as its skew. */
  readonly #latestMs = new Map<Machine, number>()
  /** When the master's syncs began to fail, until it was started again with a disk that syncs. */
  #syncsFailSinceMs: number | undefined
  #slowestSyncMs: number
  /** When each slave's power was cut last. */
  readonly #slaveCutsMs = new Map<Machine, number>()
  /** ASYNC_FLUSH: how far consumers were in each queue when the master's power was cut. */
  readonly #skippableTo = new Map<number, number>()
  readonly #mends = new Set<() => void>()
  /** How the master ends at the next acknowledgement, which must hold all the same. */
  #deathAtAck: Death | undefined
  #isHealed = false

  constructor(world: World, scenario: Scenario, cast: Cast, history: History) {
    this.#world = world
    this.#scenario = scenario
    this.#cast = cast
    this.#history = history
    this.#slowestSyncMs = scenario.syncMs[1]
    cast.master.onDeath = (death) => {
      if (death === 'powerCut') this.#noteLoss()
      if (death !== 'exit') this.#deathsMs.push(world.timeline.nowMs)
    }
    cast.master.onStarted = () => {
      if (cast.master.machine.disk.memory.syncFailure !== undefined) return
      this.#syncsFailSinceMs = undefined
      for (const failure of this.#failures) failure.toMs = Math.min(failure.toMs, world.timeline.nowMs)
    }
    const dieAtAck = () => {
      const death = this.#deathAtAck
      this.#deathAtAck = undefined
      if (death !== undefined) cast.master.die(death)
    }
    history.onAck.push(dieAtAck)
    history.onEnd.push(dieAtAck)
    for (const slave of cast.slaves) {
      slave.onDeath = (death) => {
        if (death === 'powerCut') this.#slaveCutsMs.set(slave.machine, world.timeline.nowMs)
      }
    }
  }

  /**
   * Whether a message that was sent and acknowledged at these times, without a promise that it is flushed, may be gone: the
   * flush that makes it safe begins within flushIntervalCommitLog, behind one that may be under way, and each may sync two
   * segments.
   */
  mayHaveLost(sentAtMs: number, ackedAtMs: number): boolean {
    const unsafeMs = flushIntervalMs + 4 * this.#slowestSyncMs
    return this.#cuts.some((cut) => sentAtMs <= cut.atMs && ackedAtMs > cut.unflushedSinceMs - unsafeMs)
  }

  /**
   * Whether the master may have forgotten an end of a transaction that it was told and that it acknowledged at these times:
   * the note about it is written within transactionOpBatchInterval, and safe a flush later.
   */
  mayHaveForgotten(toldAtMs: number, endedAtMs: number): boolean {
    const notedMs = endedAtMs + this.#scenario.transactionOpBatchInterval + flushIntervalMs + 4 * this.#slowestSyncMs
    return this.#deathsMs.some(
      (atMs) =>
        atMs >= toldAtMs &&
        (atMs <= notedMs || this.#failures.some(({ fromMs, toMs }) => fromMs <= atMs && toMs >= toldAtMs)),
    )
  }

  /** Whether consumers may have read from the slave what the master lost since. */
  mayHaveReadLost(): boolean {
    return this.#scenario.readsFromSlave && this.#cuts.length > 0
  }

  /** Whether a slave may no longer have what it had then. */
  mayHaveLostCopy(slave: Machine, sinceMs: number): boolean {
    const cutMs = this.#slaveCutsMs.get(slave) ?? Number.NEGATIVE_INFINITY
    return this.#scenario.flushDiskType === 'ASYNC_FLUSH' && sinceMs < cutMs
  }

  /**
   * Whether consumers may have passed this place: a log that lost its end gives queue offsets anew that consumers had
   * already seen. Apache's do the same; who does not want it takes SYNC_FLUSH.
   */
  mayBeSkipped(queueId: number, queueOffset: number): boolean {
    return queueOffset <= (this.#skippableTo.get(queueId) ?? -1)
  }

  schedule(random: SeededRandom): void {
    const { faults, busyMs } = this.#scenario
    for (let at = 0; at < faults; at++) {
      const own = random.fork()
      this.#world.timeline.after(random.between(500, busyMs), () => {
        if (!this.#isHealed) this.#strike(own)
      })
    }
    if (this.#cast.slaves.length > 1) this.#scheduleLoneSlave(random.fork())
  }

  /** Of two slaves one is cut off for a while: what inSyncReplicas promises must hold with the other, or not be said. */
  #scheduleLoneSlave(random: SeededRandom): void {
    this.#world.timeline.after(random.between(500, this.#scenario.busyMs / 2), () => {
      if (!this.#isHealed) this.cutOffFromMaster(random.one(this.#cast.slaves), random.scaled(1_000, 20_000))
    })
  }

  /** Master and slave do not hear of each other for a while. */
  cutOffFromMaster({ machine }: Unit, ms: number): void {
    this.#cutOff(this.#cast.master.machine.host, [machine.host], 'both', ms)
  }

  /** Nothing goes wrong any more. */
  heal(): void {
    this.#isHealed = true
    this.#deathAtAck = undefined
    for (const mend of [...this.#mends]) mend()
    // What a broker stored in its future it does not ask about before that has come.
    for (const [machine, skewMs] of this.#latestMs) machine.skewMs = skewMs
    for (const unit of this.#units()) {
      unit.nextDeath = undefined
      if (unit.machine.process !== undefined) unit.machine.process.dieAtChange = undefined
      unit.launch()
    }
  }

  #units(): Unit[] {
    const { namesrv, master, slaves, producer, consumers } = this.#cast
    return [master, ...slaves, namesrv, producer, ...consumers]
  }

  #strike(random: SeededRandom): void {
    const units = this.#units()
    const unit = random.is(0.4) ? units[0]! : random.one(units) // the master has most to lose
    const death: Death = random.is(0.5) ? 'kill' : 'powerCut'
    const fate = random.one(deck)
    switch (fate) {
      case 'death':
        unit.die(death)
        break
      case 'deathAtChange':
        this.#dieAtChange(unit, death, random)
        break
      case 'deathAtAck':
        this.#deathAtAck = death
        break
      case 'stop':
        unit.stop()
        break
      case 'restartAll': // a data centre without power, say
        for (const each of units.slice(0, random.is(0.5) ? 2 : units.length)) each.die(death)
        break
      case 'partition':
        this.#partition(random)
        break
      case 'slowDisk':
        this.#slowDisk(unit, random)
        break
      case 'fullDisk':
        this.#badWrites(unit, random, 'ENOSPC')
        break
      case 'badWrites':
        this.#badWrites(unit, random, 'EIO')
        break
      case 'badSyncs':
        this.#badSyncs(random.one(this.#brokers()), random)
        break
      case 'badSector':
        this.#badSector(random.one(this.#brokers()), random)
        break
      case 'masterAway':
        this.#cast.master.nextRestartMs = random.between(5_000, 30_000)
        this.#cast.master.die(death)
        break
      case 'slowNetwork':
        this.#slowNetwork(random)
        break
      case 'clockJump':
        this.#jump(unit, random)
        break
    }
  }

  /** At some change of its disk, and in half of all cases again while it recovers. */
  #dieAtChange(unit: Unit, death: Death, random: SeededRandom): void {
    const { process } = unit.machine
    if (process === undefined) return
    process.dieAtChange = { left: random.int(40), death }
    // A recovery changes little before it has cut what was torn.
    if (random.is(0.5)) unit.nextDeath = { left: random.int(random.is(0.5) ? 8 : 30), death }
  }

  /** One machine from another, or from all; one way or both. */
  #partition(random: SeededRandom): void {
    const hosts = this.#units().map(({ machine }) => machine.host)
    const one = random.one(hosts)
    const others = hosts.filter((host) => host !== one)
    const cut = random.is(0.3) ? others : [random.one(others)]
    const ways = random.one(['to', 'from', 'both', 'both'] as const)
    this.#cutOff(one, cut, ways, random.scaled(300, 30_000))
  }

  #cutOff(one: string, cut: readonly string[], ways: 'to' | 'from' | 'both', ms: number): void {
    const ends = cut.flatMap((other) => [
      ...(ways === 'from' ? [] : [this.#world.network.partition(one, other)]),
      ...(ways === 'to' ? [] : [this.#world.network.partition(other, one)]),
    ])
    this.#forAWhile(ms, `partition ${ways} ${one} and ${cut}`, () => {
      for (const end of ends) end()
    })
  }

  #slowDisk({ machine: { name, disk } }: Unit, random: SeededRandom): void {
    const slowest = random.scaled(50, 10_000)
    this.#slowestSyncMs = Math.max(slowest, this.#slowestSyncMs)
    disk.syncMs = [slowest / 10, slowest]
    this.#forAWhile(random.scaled(500, 15_000), `slow disk of ${name}: up to ${slowest.toFixed(0)} ms a sync`, () => {
      disk.syncMs = this.#scenario.syncMs
    })
  }

  /** Writes take a part, then fail. */
  #badWrites({ machine: { name, disk } }: Unit, random: SeededRandom, failure: 'ENOSPC' | 'EIO'): void {
    const { timeline } = this.#world
    disk.memory.writeFailure = failure
    const forMs = random.scaled(200, 10_000)
    if (disk === this.#cast.master.machine.disk) {
      this.#failures.push({ fromMs: timeline.nowMs, toMs: timeline.nowMs + forMs })
    }
    this.#forAWhile(forMs, `${failure} of ${name}`, () => {
      disk.memory.writeFailure = undefined
    })
  }

  /** Syncs fail, and what they were for is lost to the disk; then somebody looks after it and starts the broker again. */
  #badSyncs(unit: Unit, random: SeededRandom): void {
    const { name, disk } = unit.machine
    disk.memory.syncFailure = 'EIO'
    disk.hasFailedSyncs = true
    if (unit === this.#cast.master) {
      this.#syncsFailSinceMs ??= this.#world.timeline.nowMs
      this.#failures.push({ fromMs: this.#world.timeline.nowMs, toMs: Number.POSITIVE_INFINITY })
    }
    const end = random.one(['kill', 'kill', 'stop', 'powerCut'] as const)
    this.#forAWhile(random.scaled(200, 10_000), `failing syncs of ${name}`, () => {
      disk.memory.syncFailure = undefined
      if (end === 'stop') unit.stop()
      else unit.die(end)
      // what the next process built on may not be there any more
      this.#world.timeline.after(random.between(3_000, 15_000), () => {
        if (!this.#isHealed) unit.die('powerCut')
      })
    })
  }

  /** Some bytes of the log cannot be read: often those that come next, which everybody wants. */
  #badSector(unit: Unit, random: SeededRandom): void {
    const { name, disk } = unit.machine
    const newest = Math.max(0, ...[...this.#history.sent.values()].map(({ ack }) => ack?.phyOffset ?? 0))
    const phyOffset = random.is(0.7) ? newest : random.int(newest + 1)
    const start = phyOffset % this.#scenario.segmentBytes
    const end = start + random.one([8, 64]) * sectorBytes
    const damaged = `${storeDir}/commitlog/${offsetName(phyOffset - start)}`
    disk.memory.isDamaged = (path, position, bytes) => path === damaged && position < end && start < position + bytes
    this.#forAWhile(random.scaled(200, 10_000), `damage of ${name} at phyOffset ${phyOffset}`, () => {
      disk.memory.isDamaged = () => false
    })
  }

  #brokers(): Unit[] {
    const { master, slaves } = this.#cast
    return slaves.length === 0 ? [master] : [master, master, ...slaves]
  }

  #slowNetwork(random: SeededRandom): void {
    const { network } = this.#world
    const slowest = random.scaled(20, 1_000)
    network.latencyMs = [slowest / 20, slowest]
    this.#forAWhile(random.scaled(500, 10_000), `slow network: up to ${slowest.toFixed(0)} ms`, () => {
      network.latencyMs = usualLatencyMs
    })
  }

  /** As NTP does, or a person. */
  #jump({ machine }: Unit, random: SeededRandom): void {
    const ms = (random.is(0.5) ? -1 : 1) * Math.round(random.scaled(10, hourMs))
    this.#latestMs.set(machine, Math.max(machine.skewMs + ms, this.#latestMs.get(machine) ?? machine.skewMs))
    machine.skewMs += ms
    this.#world.trace.add(machine.name, `its clock jumps by ${ms} ms`)
  }

  #forAWhile(ms: number, what: string, mend: () => void): void {
    const { trace, timeline } = this.#world
    trace.add('fault', what)
    const once = () => {
      if (!this.#mends.delete(once)) return
      trace.add('fault', `no more ${what}`)
      mend()
    }
    this.#mends.add(once)
    timeline.after(ms, once)
  }

  #noteLoss(): void {
    const { nowMs } = this.#world.timeline
    this.#cuts.push({ atMs: nowMs, unflushedSinceMs: this.#syncsFailSinceMs ?? nowMs })
    const { flushDiskType, readsFromSlave } = this.#scenario
    if (flushDiskType === 'SYNC_FLUSH' && !readsFromSlave) return // what consumers saw was safe
    const { sent, consumedTo } = this.#history
    const note = (queueId: number, queueOffset: number) =>
      this.#skippableTo.set(queueId, Math.max(queueOffset + unseenMax, this.#skippableTo.get(queueId) ?? 0))
    for (const [queueId, queueOffset] of consumedTo) note(queueId, queueOffset)
    for (const { ack } of sent.values()) if (ack !== undefined) note(ack.queueId, ack.queueOffset)
  }
}
