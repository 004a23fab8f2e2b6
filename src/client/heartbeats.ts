import type { Timer } from '../base/clock.ts'
import { type HeartbeatData, writeHeartbeatData } from '../remoting/body/heartbeat.ts'
import { RequestCode } from '../remoting/codes.ts'
import { unregisterClientRequest } from '../remoting/headers/client-registration.ts'
import type { Cluster } from './cluster.ts'

/** The groups that a client is a member of. */
export type Groups = Pick<HeartbeatData, 'producerDataSet' | 'consumerDataSet'>

/** Tells brokers every 30 s who this client is and what it consumes; they forget those who are silent for 120 s. */
export class Heartbeats {
  readonly #cluster: Cluster
  readonly #which: 'masters' | 'all'
  readonly #describe: () => Groups
  readonly #lastBeatMs = new Map<string, number>() // by broker address
  #timer: Timer | undefined

  /** @param which producers matter to masters alone, consumers to slaves too */
  constructor(cluster: Cluster, which: 'masters' | 'all', describe: () => Groups) {
    this.#cluster = cluster
    this.#which = which
    this.#describe = describe
  }

  start(): void {
    if (this.#timer !== undefined) return
    this.#timer = this.#cluster.doors.clock.every(beatMs, () => void this.beatAll())
    this.#timer.unref()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** One heartbeat to every broker of the topics in use. Brokers that cannot be reached get the next one. */
  async beatAll(): Promise<void> {
    const addresses = this.#cluster.routes.brokerAddresses(this.#which)
    for (const address of this.#lastBeatMs.keys()) if (!addresses.has(address)) this.#lastBeatMs.delete(address)
    await Promise.all([...addresses].map((address) => this.#beat(address)))
  }

  /** One heartbeat to every broker that has not had one yet. */
  async beatNew(): Promise<void> {
    const addresses = [...this.#cluster.routes.brokerAddresses(this.#which)]
    await Promise.all(
      addresses.filter((address) => !this.#lastBeatMs.has(address)).map((address) => this.#beat(address)),
    )
  }

  /** The connection to this broker is gone, and with it what the broker knew of this client. */
  forget(address: string): void {
    this.#lastBeatMs.delete(address)
  }

  /** One heartbeat to a broker that seems to have forgotten us, at most one a second. */
  async beatAgain(address: string): Promise<void> {
    const last = this.#lastBeatMs.get(address)
    if (last === undefined || this.#cluster.doors.clock.monotonicMs() - last > beatPauseMs) await this.#beat(address)
  }

  /** Tells every broker that this client leaves. Never fails: brokers find out by themselves, only later. */
  async unregister(groups: { producerGroup?: string; consumerGroup?: string }): Promise<void> {
    const command = {
      code: RequestCode.UNREGISTER_CLIENT,
      extFields: unregisterClientRequest.encode({ clientID: this.#cluster.clientId, ...groups }),
    }
    await Promise.all(
      [...this.#lastBeatMs.keys()].map((address) =>
        this.#cluster
          .call(address, command, unregisterTimeoutMs)
          .catch((error: unknown) => this.#cluster.doors.log.debug({ address, err: error }, 'not unregistered')),
      ),
    )
  }

  async #beat(address: string): Promise<void> {
    const { clock, log } = this.#cluster.doors
    this.#lastBeatMs.set(address, clock.monotonicMs())
    const { clientId: clientID } = this.#cluster
    const beat = { clientID, ...this.#describe(), heartbeatFingerprint: 0, withoutSub: false }
    const body = Buffer.from(writeHeartbeatData(beat))
    try {
      await this.#cluster.call(address, { code: RequestCode.HEART_BEAT, body })
    } catch (error) {
      this.forget(address)
      log.debug({ address, err: error }, 'heartbeat failed')
    }
  }
}

const beatMs = 30_000
const beatPauseMs = 1_000
const unregisterTimeoutMs = 1_000
