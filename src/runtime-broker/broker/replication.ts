import { totalmem } from 'node:os'
import type { Doors } from '../../base/doors.ts'
import type { HaStatus } from '../../remoting/body/ha-status.ts'
import type { BrokerSettings } from '../../tunables/index.ts'
import { HaMaster } from '../ha/master.ts'
import { HaSlave } from '../ha/slave.ts'
import type { MessageStore } from '../store/index.ts'

/** This broker's part in its group: the master, which is copied, or a slave, which copies. */
export interface Replication {
  readonly isSlave: boolean
  /** Where slaves connect; the port is 0 at a slave, which has none. */
  readonly haPort: number
  /** What this machine, or the container it is, has of memory. */
  readonly memoryBytes: number
  readonly master: HaMaster | undefined
  readonly slave: HaSlave | undefined
  /** Bytes that this slave lacked when it last asked its master; undefined: it never could. */
  lagBytes: number | undefined
  /** A slave: the master is there and serves, so consumers had better go to it. */
  hasMaster(): boolean
  status(): HaStatus
  /** Why a slave is no copy to count on yet; undefined: it is, or it is the master. */
  notReady(): string | undefined
  close(): Promise<void>
}

/**
 * Starts to serve slaves, or to follow a master as soon as it is known where one is.
 * @throws OperatingError LISTEN_FAILED
 */
export async function startReplication(
  settings: BrokerSettings,
  store: MessageStore,
  doors: Pick<Doors, 'clock' | 'network' | 'log'>,
): Promise<Replication> {
  const { raw } = store
  const { copy } = raw
  const log = doors.log.with({ part: 'replication' })
  if (copy !== undefined) {
    const slave = new HaSlave(settings, raw, copy, { ...doors, log })
    slave.start()
    if (settings.haMasterAddress !== '') slave.follow(settings.haMasterAddress.trim())
    return new SlavePart(settings, store, slave)
  }
  const master = new HaMaster(settings, raw, { ...doors, log })
  await master.listen({ host: settings.bindAddress, port: settings.haListenPort })
  return {
    isSlave: false,
    haPort: master.address.port,
    memoryBytes: memoryBytes(),
    master,
    slave: undefined,
    lagBytes: undefined,
    hasMaster: () => true,
    status: () => master.status(),
    notReady: () => undefined,
    close: () => master.close(),
  }
}

class SlavePart implements Replication {
  readonly isSlave = true
  readonly haPort: number
  readonly memoryBytes = memoryBytes()
  readonly master = undefined
  readonly slave: HaSlave
  readonly #settings: BrokerSettings
  readonly #store: MessageStore
  #lagBytes: number | undefined
  #wasInSync = false

  constructor(settings: BrokerSettings, store: MessageStore, slave: HaSlave) {
    this.haPort = settings.haListenPort
    this.slave = slave
    this.#settings = settings
    this.#store = store
  }

  get lagBytes(): number | undefined {
    return this.#lagBytes
  }

  set lagBytes(bytes: number | undefined) {
    this.#lagBytes = bytes
    this.#lookWhetherInSync()
  }

  hasMaster(): boolean {
    return this.slave.isFollowing
  }

  status(): HaStatus {
    const { slave } = this
    return {
      master: false,
      masterCommitLogMaxOffset: 0,
      inSyncSlaveNums: 0,
      haConnectionInfo: [],
      haClientRuntimeInfo: {
        masterAddr: slave.masterAddress ?? '',
        transferredByteInSecond: slave.transferredByteInSecond,
        maxOffset: this.#store.commitLog.maxOffset,
        lastReadTimestamp: slave.lastReadTimestamp,
        lastWriteTimestamp: slave.lastWriteTimestamp,
        masterFlushOffset: 0,
        activated: slave.isFollowing,
      },
    }
  }

  /** A master that is gone makes its slave no less ready, once it was in sync: now is when it is needed. */
  notReady(): string | undefined {
    const { slave } = this
    if (slave.refusal !== undefined) return slave.refusal
    if (!slave.isFollowing) {
      return this.#wasInSync
        ? undefined
        : `no link to the master’s log at ${slave.masterAddress ?? '(no master known)'}`
    }
    if (this.#lookWhetherInSync()) return undefined
    const behind = this.#lagBytes === undefined ? 'an unknown number of' : this.#lagBytes
    return `${behind} bytes behind the master`
  }

  close(): Promise<void> {
    return this.slave.close()
  }

  #lookWhetherInSync(): boolean {
    const lagBytes = this.#lagBytes
    const isInSync = this.slave.isFollowing && lagBytes !== undefined && lagBytes <= this.#settings.haMaxGapNotInSync
    if (isInSync) this.#wasInSync = true
    return isInSync
  }
}

function memoryBytes(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}
