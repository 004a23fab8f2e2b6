import type { Unit } from './cluster.ts'
import type { SeededRandom } from './doors/random.ts'
import type { History } from './history.ts'
import type { Scenario } from './scenario.ts'
import type { Death, World } from './world.ts'

export interface Cast {
  namesrv: Unit
  master: Unit
  slave: Unit | undefined
  producer: Unit
  consumers: readonly Unit[]
}

/** What goes wrong, and what of it messages may be excused by. */
export class Faults {
  readonly #world: World
  readonly #scenario: Scenario
  readonly #cast: Cast
  readonly #history: History
  /** When the master's power was cut last. */
  #lostAtMs = Number.NEGATIVE_INFINITY
  /** ASYNC_FLUSH: how far consumers were in each queue when the master's power was cut. */
  readonly #skippableTo = new Map<number, number>()
  #isHealed = false

  constructor(world: World, scenario: Scenario, cast: Cast, history: History) {
    this.#world = world
    this.#scenario = scenario
    this.#cast = cast
    this.#history = history
    cast.master.onDeath = (death) => {
      if (death === 'powerCut') this.#noteLoss()
    }
  }

  /** Whether a message that was acknowledged then, without a promise that it is flushed, may be gone. */
  mayHaveLost(ackedAtMs: number): boolean {
    return ackedAtMs < this.#lostAtMs
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
  }

  /** Nothing goes wrong any more. */
  heal(): void {
    this.#isHealed = true
    const { namesrv, master, slave, producer, consumers } = this.#cast
    for (const unit of [namesrv, master, slave, producer, ...consumers]) {
      if (unit === undefined) continue
      unit.nextDeath = undefined
      if (unit.machine.process !== undefined) unit.machine.process.dieAtChange = undefined
      unit.launch()
    }
  }

  #strike(random: SeededRandom): void {
    const { master } = this.#cast
    const death: Death = random.is(0.5) ? 'kill' : 'powerCut'
    switch (random.one(['death', 'death', 'deathAtChange', 'deathAtChange', 'stop'] as const)) {
      case 'death':
        master.die(death)
        break
      case 'deathAtChange':
        this.#dieAtChange(master, death, random)
        break
      case 'stop':
        master.stop()
        break
    }
  }

  /** At some change of its disk, and in half of all cases again while it recovers. */
  #dieAtChange(unit: Unit, death: Death, random: SeededRandom): void {
    const { process } = unit.machine
    if (process === undefined) return
    process.dieAtChange = { left: random.int(40), death }
    if (random.is(0.5)) unit.nextDeath = { left: random.int(30), death }
  }

  #noteLoss(): void {
    this.#lostAtMs = this.#world.timeline.nowMs
    if (this.#scenario.flushDiskType === 'SYNC_FLUSH') return // what consumers saw was safe
    const { sent, consumedTo } = this.#history
    const note = (queueId: number, queueOffset: number) =>
      this.#skippableTo.set(queueId, Math.max(queueOffset + unseenMax, this.#skippableTo.get(queueId) ?? 0))
    for (const [queueId, queueOffset] of consumedTo) note(queueId, queueOffset)
    for (const { ack } of sent.values()) if (ack !== undefined) note(ack.queueId, ack.queueOffset)
  }
}

/** Messages of a queue that consumers may have been given, and that nobody else has heard of yet. */
const unseenMax = 100
