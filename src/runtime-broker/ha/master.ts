import type { Doors } from '../../base/doors.ts'
import type { Address, Listener, Socket } from '../../base/network.ts'
import { formatAddress } from '../../remoting/address.ts'
import type { HaConnection, HaStatus } from '../../remoting/body/ha-status.ts'
import type { AppendWaiter, RawLog, SettleGate } from '../store/index.ts'
import { type LinkSettings, SlaveLink } from './slave-link.ts'
import { Waiting } from './waiting.ts'

/** Slaves that one master serves. */
const linksMax = 64

export interface HaMasterSettings extends LinkSettings {
  brokerRole: 'ASYNC_MASTER' | 'SYNC_MASTER' | 'SLAVE'
  inSyncReplicas: number
  slaveTimeout: number // ms
  haMaxGapNotInSync: number // bytes
}

/**
 * Serves the log to slaves. A SYNC_MASTER also keeps those who send until inSyncReplicas members of the group have their
 * message, the master counted; whoever waited for slaveTimeout is told so.
 */
export class HaMaster implements SettleGate {
  readonly #settings: HaMasterSettings
  readonly #raw: RawLog
  readonly #doors: Pick<Doors, 'clock' | 'network' | 'log'>
  readonly #links = new Set<SlaveLink>()
  readonly #waiting: Waiting
  #listener: Listener | undefined
  #confirmedOffset = 0
  #confirmedFor = 0 // the inSyncReplicas that confirmedOffset counts with
  #transferredBytes = 0 // by links that are gone

  constructor(settings: HaMasterSettings, raw: RawLog, doors: Pick<Doors, 'clock' | 'network' | 'log'>) {
    this.#settings = settings
    this.#raw = raw
    this.#doors = doors
    this.#waiting = new Waiting(doors.clock, () => settings.slaveTimeout)
  }

  /** @throws OperatingError LISTEN_FAILED */
  async listen(address: Address): Promise<void> {
    const { settings, log } = { settings: this.#settings, log: this.#doors.log }
    this.#listener = await this.#doors.network.listen(address, (socket) => this.#accept(socket))
    this.#raw.onProgress(() => {
      for (const link of this.#links) link.pump()
    })
    if (settings.brokerRole !== 'SYNC_MASTER') return
    this.#raw.settleThrough(this)
    if (settings.inSyncReplicas === 1)
      log.warn({}, 'SYNC_MASTER with inSyncReplicas=1 waits for no slave; 2 waits for one')
  }

  get address(): Address {
    return this.#listener!.address
  }

  get slaveCount(): number {
    return this.#links.size
  }

  get waitingCount(): number {
    return this.#waiting.count
  }

  get transferredBytes(): number {
    let bytes = this.#transferredBytes
    for (const link of this.#links) bytes += link.transferredBytes
    return bytes
  }

  /** What the farthest of the slaves has; 0 without slaves. Apache's push2SlaveMaxOffset. */
  get farthestAckOffset(): number {
    let farthest = 0
    for (const { ackOffset } of this.#links) farthest = Math.max(farthest, ackOffset)
    return farthest
  }

  hold(endOffset: number, waiter: AppendWaiter, status: 'ok' | 'flushTimeout'): boolean {
    const { inSyncReplicas } = this.#settings
    if (inSyncReplicas <= 1) return false
    if (inSyncReplicas !== this.#confirmedFor) this.#confirm()
    if (endOffset <= this.#confirmedOffset) return false
    this.#waiting.add(endOffset, waiter, status)
    return true
  }

  /** As GET_BROKER_HA_STATUS tells it. */
  status(): HaStatus {
    const { maxOffset } = this.#raw
    const haConnectionInfo: HaConnection[] = [...this.#links].map((link) => ({
      addr: link.addr,
      slaveAckOffset: link.ackOffset,
      diff: maxOffset - link.ackOffset,
      inSync: maxOffset - link.ackOffset < this.#settings.haMaxGapNotInSync,
      transferredByteInSecond: link.transferredByteInSecond,
      transferFromWhere: link.nextOffset,
    }))
    return {
      master: true,
      masterCommitLogMaxOffset: maxOffset,
      inSyncSlaveNums: haConnectionInfo.filter(({ inSync }) => inSync).length,
      haConnectionInfo,
      haClientRuntimeInfo: undefined,
    }
  }

  async close(): Promise<void> {
    this.#waiting.close()
    for (const link of this.#links) link.close()
    await this.#listener?.close()
  }

  #accept(socket: Socket): void {
    const { clock, log } = this.#doors
    if (this.#links.size >= linksMax) {
      log.warn({ slave: formatAddress(socket.remote), linksMax }, 'too many slaves: this one is refused')
      socket.destroy()
      return
    }
    const link: SlaveLink = new SlaveLink({
      socket,
      raw: this.#raw,
      settings: this.#settings,
      clock,
      log,
      neededFrom: () => this.#neededFrom(),
      onAck: () => this.#confirm(),
      onClose: () => {
        this.#links.delete(link)
        this.#transferredBytes += link.transferredBytes
        this.#confirm()
      },
    })
    this.#links.add(link)
  }

  /** A record crosses no segment's end, so its last byte names the segment. What is not flushed may come to wait yet. */
  #neededFrom(): number {
    const { brokerRole, inSyncReplicas } = this.#settings
    if (brokerRole !== 'SYNC_MASTER' || inSyncReplicas <= 1) return this.#raw.maxOffset
    const { oldestEndOffset = Number.MAX_SAFE_INTEGER } = this.#waiting
    return Math.min(this.#raw.flushedOffset, oldestEndOffset - 1)
  }

  /** Finds out what enough slaves have: of their offsets the one that inSyncReplicas − 1 of them reach. */
  #confirm(): void {
    const { inSyncReplicas } = this.#settings
    this.#confirmedFor = inSyncReplicas
    this.#confirmedOffset = confirmedOffset(
      [...this.#links].map((link) => link.confirmedOffset),
      inSyncReplicas - 1,
    )
    this.#waiting.confirm(this.#confirmedOffset)
  }
}

/** Up to which byte count of the slaves have the log; 0 when there are fewer of them. */
export function confirmedOffset(ackOffsets: readonly number[], count: number): number {
  if (count <= 0) return Number.MAX_SAFE_INTEGER
  return Math.max(0, [...ackOffsets].sort((a, b) => b - a)[count - 1] ?? 0)
}
