import type { Log } from '../../../base/log.ts'
import { silentLog } from '../../../base/log.ts'
import { MemoryNetwork } from '../../../base/testing/network.ts'
import { StoreBench } from '../../store/testing/bench.ts'
import { HaMaster, type HaMasterSettings } from '../master.ts'
import { HaSlave } from '../slave.ts'

const masterAddress = { host: '10.0.0.1', port: 10_912 }

/** A master's store and a slave's, and the link between them in memory, on one clock. */
export class Pair {
  readonly network = new MemoryNetwork()
  readonly master: StoreBench
  readonly slave: StoreBench
  readonly settings: HaMasterSettings & { flushDiskType: 'ASYNC_FLUSH' | 'SYNC_FLUSH' }
  /** What either end said above info. */
  readonly said: string[] = []
  haMaster!: HaMaster
  haSlave!: HaSlave

  constructor(
    settings: Partial<Pair['settings']> = {},
    segmentBytes = 64 * 1024,
    masterStore: { flush?: 'SYNC' | 'ASYNC' } = {},
  ) {
    this.settings = {
      brokerRole: 'ASYNC_MASTER',
      flushDiskType: 'ASYNC_FLUSH',
      inSyncReplicas: 1,
      slaveTimeout: 3000,
      haMaxGapNotInSync: 1024,
      haTransferBatchSize: 1024,
      haFlowControlEnable: false,
      maxHaTransferByteInSecond: 10_000,
      haSendHeartbeatInterval: 5000,
      haHousekeepingInterval: 20_000,
      ...settings,
    }
    this.master = new StoreBench({ segmentBytes, ...masterStore })
    this.slave = new StoreBench({ segmentBytes, isCopy: true })
    this.slave.clock = this.master.clock
  }

  get clock() {
    return this.master.clock
  }

  async open(): Promise<this> {
    await this.master.open()
    await this.slave.open()
    await this.startMaster()
    this.startSlave()
    await this.until(() => this.haSlave.isFollowing) // else it would begin with the last segment of what comes first
    return this
  }

  async startMaster(): Promise<void> {
    this.haMaster = new HaMaster(this.settings, this.master.store.raw, this.#doors())
    await this.haMaster.listen(masterAddress)
  }

  startSlave(): void {
    const { raw } = this.slave.store
    this.haSlave = new HaSlave(this.settings, raw, raw.copy!, this.#doors())
    this.haSlave.start()
    this.haSlave.follow('10.0.0.1:10912')
  }

  /** The slave's process ends and the next one starts, on the same files. */
  async restartSlave(isCrash = false): Promise<void> {
    await this.haSlave.close()
    if (isCrash) this.slave.files.crashProcess()
    else await this.slave.close()
    await this.slave.reopen()
    this.startSlave()
  }

  /** The master's machine loses its power and starts again; what was not synced is gone. */
  async cutMastersPower(): Promise<void> {
    await this.haMaster.close()
    this.master.files.cutPower(() => 0.999)
    await this.master.reopen()
    await this.startMaster()
  }

  /** Lets turns go by, a millisecond each, until it holds. */
  async until(holds: () => boolean, turnsMax = 2000): Promise<void> {
    for (let turn = 0; turn < turnsMax && !holds(); turn++) await this.clock.advance(1)
    if (!holds()) throw new Error(`it did not come to that in ${turnsMax} turns; said: ${this.said.join('; ')}`)
  }

  get isCaughtUp(): boolean {
    return this.slave.store.raw.maxOffset === this.master.store.raw.maxOffset
  }

  /** The slave's log holds what the master's does, up to its own end. */
  hasMastersBytes(): boolean {
    const { minOffset, maxOffset, segmentBytes } = this.slave.store.raw
    for (let at = minOffset; at < maxOffset; ) {
      const own = Buffer.alloc(Math.min(maxOffset - at, segmentBytes - (at % segmentBytes)))
      const theirs = Buffer.alloc(own.length)
      this.slave.store.raw.read(own, at)
      this.master.store.raw.read(theirs, at)
      if (!own.equals(theirs)) return false
      at += own.length
    }
    return true
  }

  #doors() {
    const say = (_fields: unknown, text: string) => void this.said.push(text)
    const log: Log = { ...silentLog, warn: say, error: say, with: () => log }
    return { clock: this.clock, network: this.network, log }
  }
}
