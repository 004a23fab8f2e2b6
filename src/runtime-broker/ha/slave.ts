import { BrokenRule } from '../../base/assert.ts'
import type { Timer } from '../../base/clock.ts'
import type { Doors } from '../../base/doors.ts'
import { isOperatingError, messageOf, OperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Socket } from '../../base/network.ts'
import { parseAddress } from '../../remoting/address.ts'
import type { CopiedLog, RawLog } from '../store/index.ts'
import { type Finding, judge, type Reach } from './comparison.ts'
import { encodeReport } from './protocol.ts'
import { Session } from './session.ts'

const connectTimeoutMs = 3_000
const retryMsMin = 500
const retryMsMax = 5_000
/** While a person has to act; each try is said in the log. */
const refusedRetryMs = 30_000
const secondMs = 1_000

export interface HaSlaveSettings {
  flushDiskType: 'ASYNC_FLUSH' | 'SYNC_FLUSH'
  haSendHeartbeatInterval: number // ms
  haHousekeepingInterval: number // ms
}

type SlaveDoors = Pick<Doors, 'clock' | 'network' | 'log'>

/**
 * Follows a master: connects, compares, appends what comes and says how much there is; with SYNC_FLUSH only what is safe
 * counts. Connects again after whatever went wrong.
 */
export class HaSlave {
  readonly #settings: HaSlaveSettings
  readonly #raw: RawLog
  readonly #copy: CopiedLog
  readonly #doors: SlaveDoors
  readonly #log: Log
  #address: string | undefined
  #link: { socket: Socket; session: Session; reported: number } | undefined
  #reach: Reach = 'near'
  #masterMinOffset = 0
  #state: 'idle' | 'connecting' | 'linked' | 'waiting' | 'cutting' | 'closed' = 'idle'
  #retryMs = retryMsMin
  #retryTimer: Timer | undefined
  #tick: Timer | undefined
  #bytesThisSecond = 0
  #lastReadMs = 0
  #lastWriteMs = 0
  /** ms since 1970; 0: never. */
  lastReadTimestamp = 0
  lastWriteTimestamp = 0
  transferredByteInSecond = 0
  transferredBytes = 0
  /** Why a person must act; undefined: nobody must. */
  refusal: string | undefined

  constructor(settings: HaSlaveSettings, raw: RawLog, copy: CopiedLog, doors: SlaveDoors) {
    this.#settings = settings
    this.#raw = raw
    this.#copy = copy
    this.#doors = doors
    this.#log = doors.log
  }

  start(): void {
    this.#tick = this.#doors.clock.every(secondMs, () => this.#everySecond())
    this.#raw.onProgress(() => this.#progressed())
    this.#connectSoon(0)
  }

  get masterAddress(): string | undefined {
    return this.#address
  }

  get maxOffset(): number {
    return this.#raw.maxOffset
  }

  /** Compared with the master's log, and fed by it. */
  get isFollowing(): boolean {
    return this.#link?.session.isFollowing ?? false
  }

  /** Where the master serves its log: host:port. */
  follow(address: string): void {
    if (address === this.#address || this.#state === 'closed') return
    this.#log.info({ haServerAddr: address, before: this.#address }, 'the master’s log is here')
    this.#address = address
    this.#retryMs = retryMsMin
    this.#link?.socket.destroy()
    if (this.#state === 'idle' || this.#state === 'waiting') this.#connectSoon(0)
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#tick?.cancel()
    this.#retryTimer?.cancel()
    this.#link?.socket.destroy()
  }

  #connectSoon(delayMs: number): void {
    if (this.#state === 'closed') return
    this.#retryTimer?.cancel()
    this.#state = this.#address === undefined ? 'idle' : 'waiting'
    if (this.#address === undefined) return
    this.#retryTimer = this.#doors.clock.after(delayMs, () => void this.#connect())
  }

  #retry(): void {
    const delayMs = this.#retryMs
    this.#retryMs = Math.min(2 * delayMs, retryMsMax)
    this.#connectSoon(delayMs)
  }

  async #connect(): Promise<void> {
    const haServerAddr = this.#address!
    this.#state = 'connecting'
    let socket: Socket
    try {
      const address = parseAddress(haServerAddr)
      if (address === undefined) throw new OperatingError('CONNECT_FAILED', { haServerAddr, why: 'no host:port' })
      socket = await this.#doors.network.connect(address, connectTimeoutMs)
    } catch (error) {
      this.#log.debug({ haServerAddr, err: messageOf(error) }, 'no connection to the master’s log')
      this.#retry()
      return
    }
    if ((this.#state as string) === 'closed' || haServerAddr !== this.#address) {
      socket.destroy()
      this.#connectSoon(0)
      return
    }
    this.#open(socket)
  }

  #open(socket: Socket): void {
    const { clock } = this.#doors
    const session = new Session(this.#raw, this.#copy, this.#reach, this.#masterMinOffset)
    const link = { socket, session, reported: session.requestOffset }
    this.#link = link
    this.#state = 'linked'
    this.#lastReadMs = clock.monotonicMs()
    socket.handle({
      borrows: true, // what it takes is copied into the log's batch
      data: (chunk) => {
        if (this.#link === link) this.#receive(chunk)
      },
      drained: () => {},
      closed: (error) => {
        if (this.#link !== link) return
        this.#link = undefined
        this.#log.warn(
          { haServerAddr: this.#address, err: error && messageOf(error) },
          'the link to the master is gone',
        )
        this.#retry()
      },
    })
    this.#send(session.requestOffset)
    if (session.isFollowing) this.#log.info({ haServerAddr: this.#address }, 'following the master with an empty log')
  }

  #receive(chunk: Buffer): void {
    const { session } = this.#link!
    const { clock } = this.#doors
    this.#lastReadMs = clock.monotonicMs()
    this.lastReadTimestamp = clock.now()
    this.transferredBytes += chunk.length
    this.#bytesThisSecond += chunk.length
    try {
      const outcome = session.take(chunk)
      if (outcome.is === 'compared') this.#compared(outcome.finding, session)
      else if (outcome.is === 'broken') {
        const { why, expected, received } = outcome
        this.#log.error({ why, expected, received }, 'what the master sends does not follow on this log')
        this.#drop()
        this.#retry()
      }
    } catch (error) {
      if (error instanceof BrokenRule || !isOperatingError(error)) throw error
      this.#log.error({ err: messageOf(error) }, 'the copy cannot go on: trying again')
      this.#drop()
      this.#retry()
    }
  }

  #compared(finding: Finding, session: Session): void {
    const { maxOffset } = this.#raw
    const verdict = judge(finding, {
      from: session.requestOffset,
      reach: this.#reach,
      maxOffset,
      recordEnd: (phyOffset) => this.#copy.recordEndBefore(phyOffset),
    })
    const facts = { haServerAddr: this.#address, ...finding, maxOffset }
    switch (verdict.do) {
      case 'follow':
        this.#reach = 'near'
        this.#masterMinOffset = 0
        this.#retryMs = retryMsMin
        this.refusal = undefined
        this.#log.info({ haServerAddr: this.#address, phyOffset: this.#raw.maxOffset }, 'following the master')
        this.#progressed()
        return
      case 'compare':
        this.#log.warn(facts, 'this log’s end is not the master’s: comparing further back')
        this.#reach = verdict.reach
        this.#masterMinOffset = verdict.masterMinOffset
        this.#drop()
        this.#connectSoon(0)
        return
      case 'cut':
        this.#log.error(
          { ...facts, phyOffset: verdict.phyOffset },
          'the master lost what follows: kept in torn/, and cut',
        )
        this.#drop()
        void this.#cut(verdict.phyOffset, 0)
        return
      case 'refuse':
        this.#log.error(
          { ...facts, why: verdict.why },
          'this log is not its master’s: nothing is copied until somebody acts',
        )
        this.refusal = verdict.why
        this.#reach = 'near'
        this.#drop()
        this.#connectSoon(refusedRetryMs)
    }
  }

  async #cut(phyOffset: number, delayMs: number): Promise<void> {
    this.#state = 'cutting'
    let next = delayMs
    try {
      await this.#copy.cut(phyOffset)
      this.#reach = 'near'
    } catch (error) {
      if (!isOperatingError(error)) throw error
      this.#log.error({ phyOffset, err: messageOf(error) }, 'the log cannot be cut: trying again')
      next = retryMsMax
    }
    if ((this.#state as string) === 'cutting') this.#connectSoon(next)
  }

  /** The log grew, or more of it is safe. */
  #progressed(): void {
    const link = this.#link
    if (link === undefined || !link.session.isFollowing) return
    const { faultOffset } = this.#copy
    if (faultOffset !== undefined) {
      this.#log.error({ phyOffset: faultOffset }, 'what came from the master is no record: cut, and asked for again')
      this.#drop()
      void this.#cut(faultOffset, retryMsMax)
      return
    }
    const { flushedOffset, maxOffset } = this.#raw
    const reportable = this.#settings.flushDiskType === 'SYNC_FLUSH' ? flushedOffset : maxOffset
    if (reportable <= link.reported) return
    link.reported = reportable
    this.#send(reportable)
  }

  #send(maxOffset: number): void {
    const { clock } = this.#doors
    this.#lastWriteMs = clock.monotonicMs()
    this.lastWriteTimestamp = clock.now()
    this.#link!.socket.write(encodeReport(maxOffset))
  }

  #drop(): void {
    const link = this.#link
    this.#link = undefined
    link?.socket.destroy()
  }

  #everySecond(): void {
    this.transferredByteInSecond = this.#bytesThisSecond
    this.#bytesThisSecond = 0
    const link = this.#link
    if (link === undefined) return
    const now = this.#doors.clock.monotonicMs()
    const { haHousekeepingInterval, haSendHeartbeatInterval } = this.#settings
    if (now - this.#lastReadMs > haHousekeepingInterval) {
      this.#log.warn(
        { haServerAddr: this.#address, haHousekeepingInterval },
        'the master is silent: its link is closed',
      )
      this.#drop()
      this.#retry()
    } else if (now - this.#lastWriteMs >= haSendHeartbeatInterval) this.#send(link.reported)
  }
}
