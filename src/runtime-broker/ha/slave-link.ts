import type { Clock, Timer } from '../../base/clock.ts'
import { isOperatingError, messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Socket } from '../../base/network.ts'
import { formatAddress } from '../../remoting/address.ts'
import { SpareBuffers } from '../../remoting/spare-buffers.ts'
import type { RawLog } from '../store/index.ts'
import { headerBytes, ReportReader, writeHeader } from './protocol.ts'

/** Bytes of the log that are read and written in one go; a slave that is far behind has no more than this in memory. */
const pieceBytesMax = 256 * 1024
/** Of all links of the process; with room for the headers of a piece's frames. */
const pieces = new SpareBuffers(2 * pieceBytesMax, 1024 * 1024)
/** What one slave gets in one turn of the event loop, before clients have theirs. */
const turnBytesMax = 1024 * 1024
const secondMs = 1000

export interface LinkSettings {
  haTransferBatchSize: number
  haFlowControlEnable: boolean
  maxHaTransferByteInSecond: number
  haSendHeartbeatInterval: number // ms
  haHousekeepingInterval: number // ms
}

interface LinkParts {
  socket: Socket
  raw: RawLog
  settings: LinkSettings
  clock: Clock
  log: Log
  /** The first byte that somebody waits for or may come to wait for: a slave that begins behind it must not confirm it. */
  neededFrom(): number
  /** The slave has more of the log. */
  onAck(): void
  onClose(): void
}

/**
 * The master's end of the link to one slave: sends it the log from where it asks for, and hears how much it has. Bytes
 * that were written a moment ago are sent at once; older ones are read beside the event loop, a piece at a time. The next
 * piece is read when the network took the one before.
 */
export class SlaveLink {
  readonly addr: string
  /** One past the last byte that the slave says it has; -1: it said nothing yet. */
  ackOffset = -1
  /**
   * As ackOffset, but without what it asked from: there it may only want to compare, and have other bytes than this log.
   * 0 until it reports more.
   */
  confirmedOffset = 0
  /** Where the next piece begins; -1: the slave did not ask yet. */
  nextOffset = -1
  /** In the last whole second. */
  transferredByteInSecond = 0
  transferredBytes = 0
  readonly #parts: LinkParts
  readonly #log: Log
  readonly #reports = new ReportReader()
  readonly #tick: Timer
  #bytesThisSecond = 0
  #lastReadMs: number
  #lastWriteMs: number
  #state: 'idle' | 'reading' | 'full' | 'later' | 'closed' = 'idle' // full: the network is; later: goes on next turn

  constructor(parts: LinkParts) {
    const { socket, clock } = parts
    this.#parts = parts
    this.addr = formatAddress(socket.remote)
    this.#log = parts.log.with({ slave: this.addr })
    this.#lastReadMs = this.#lastWriteMs = clock.monotonicMs()
    this.#tick = clock.every(secondMs, () => this.#everySecond())
    this.#tick.unref()
    socket.handle({
      data: (chunk) => this.#receive(chunk),
      drained: () => {
        if (this.#state !== 'full') return
        this.#state = 'idle'
        this.pump()
      },
      closed: (error) => this.#closed(error),
    })
  }

  /** Sends what the slave lacks, as far as the network takes it. */
  pump(): void {
    const { raw, clock } = this.#parts
    let bytes = 0
    while (this.#state === 'idle' && this.nextOffset >= 0 && this.nextOffset < raw.maxOffset) {
      if (this.nextOffset < raw.minOffset) {
        this.#refuse(
          raw.minOffset,
          'the log that this slave needs is gone: empty its store, it will get the last segment',
        )
        return
      }
      if (bytes >= turnBytesMax) {
        this.#state = 'later'
        clock.endOfTurn(() => {
          if (this.#state !== 'later') return
          this.#state = 'idle'
          this.pump()
        })
        return
      }
      const size = this.#nextPieceBytes()
      if (size <= 0) return // enough for this second
      bytes += size
      if (!raw.isHot(this.nextOffset)) void this.#sendLater(size)
      else if (!this.#sendNow(size)) return
    }
  }

  /** At once: the log may be closed next. */
  close(): void {
    this.#state = 'closed'
    this.#parts.socket.destroy()
  }

  #nextPieceBytes(): number {
    const { raw, settings } = this.#parts
    const segmentEnd = this.nextOffset - (this.nextOffset % raw.segmentBytes) + raw.segmentBytes
    const allowed = settings.haFlowControlEnable
      ? settings.maxHaTransferByteInSecond - this.#bytesThisSecond
      : Number.POSITIVE_INFINITY
    return Math.min(raw.maxOffset - this.nextOffset, segmentEnd - this.nextOffset, pieceBytesMax, allowed)
  }

  /** Reads each frame's bytes to where they are sent from. @returns false: they cannot be read, and the link is closed */
  #sendNow(size: number): boolean {
    const { raw } = this.#parts
    try {
      this.#send(size, (into, done) => raw.read(into, this.nextOffset + done))
      return true
    } catch (error) {
      this.#cannotRead(error)
      return false
    }
  }

  #cannotRead(error: unknown): void {
    if (!isOperatingError(error)) throw error
    this.#log.error({ phyOffset: this.nextOffset, err: messageOf(error) }, 'the log cannot be read for a slave')
    this.close()
  }

  async #sendLater(size: number): Promise<void> {
    const { raw } = this.#parts
    this.#state = 'reading'
    const body = pieces.take(size).subarray(0, size)
    try {
      await raw.readLater(body, this.nextOffset)
    } catch (error) {
      return this.#cannotRead(error)
    }
    if ((this.#state as string) === 'closed') return
    this.#state = 'idle'
    this.#send(size, (into, done) => void body.copy(into, 0, done))
    pieces.giveBack(body)
    this.pump()
  }

  /** Writes one piece as frames of haTransferBatchSize. */
  #send(size: number, fill: (into: Buffer, done: number) => void): void {
    const { socket, settings, clock } = this.#parts
    const frameMax = settings.haTransferBatchSize
    const framedBytes = size + Math.ceil(size / frameMax) * headerBytes
    const framed = pieces.take(framedBytes).subarray(0, framedBytes)
    for (let done = 0, at = 0; done < size; ) {
      const count = Math.min(frameMax, size - done)
      writeHeader(framed, at, this.nextOffset + done, count)
      fill(framed.subarray(at + headerBytes, at + headerBytes + count), done)
      at += headerBytes + count
      done += count
    }
    this.nextOffset += size
    this.#bytesThisSecond += size
    this.transferredBytes += size
    this.#lastWriteMs = clock.monotonicMs()
    if (!socket.write(framed)) this.#state = 'full'
    if (socket.queuedBytes === 0) pieces.giveBack(framed)
  }

  #receive(chunk: Buffer): void {
    const { socket, clock } = this.#parts
    if (this.#state === 'closed') return
    this.#lastReadMs = clock.monotonicMs()
    if (this.#reports.take(chunk, (maxOffset) => this.#reported(maxOffset))) return
    this.#log.warn({}, 'what came is no offset: this is no slave')
    socket.destroy()
  }

  #reported(maxOffset: number): void {
    if (this.#state === 'closed') return
    const { raw } = this.#parts
    if (this.nextOffset < 0) this.#begin(maxOffset)
    else if (maxOffset > raw.maxOffset) {
      // Such a report must not count: the slave has other bytes there than those that will come.
      this.#refuse(raw.maxOffset, 'a slave says that it has more than this log')
    } else if (maxOffset > this.ackOffset) {
      this.ackOffset = this.confirmedOffset = maxOffset
      this.#parts.onAck()
    }
  }

  #begin(requestOffset: number): void {
    const { raw, neededFrom } = this.#parts
    const { minOffset, maxOffset, segmentBytes } = raw
    if (requestOffset > maxOffset) {
      this.#refuse(maxOffset, 'a slave has more than this log: it must not go on before its end is compared')
      return
    }
    if (requestOffset !== 0 && requestOffset < minOffset) {
      this.#refuse(minOffset, 'the log that this slave needs is gone: empty its store, it will get the last segment')
      return
    }
    const firstOffset = Math.max(minOffset, Math.min(maxOffset, neededFrom()))
    this.nextOffset = requestOffset === 0 ? firstOffset - (firstOffset % segmentBytes) : requestOffset
    this.ackOffset = requestOffset
    this.#log.info({ requestOffset, phyOffset: this.nextOffset }, 'slave connected')
    this.pump()
  }

  /**
   * Tells the slave where this log ends or begins, by an offset that is not its own, and closes. Apache's slave logs both
   * offsets then and tries again; left alone it would go on with bytes that do not belong to what it has.
   */
  #refuse(phyOffset: number, why: string): void {
    const { socket, raw } = this.#parts
    const { minOffset, maxOffset } = raw
    this.#log.error({ slaveOffset: Math.max(this.nextOffset, this.ackOffset), minOffset, maxOffset }, why)
    this.#heartbeat(phyOffset)
    this.#state = 'closed'
    socket.end()
  }

  #heartbeat(phyOffset: number): void {
    const header = Buffer.allocUnsafe(headerBytes)
    writeHeader(header, 0, phyOffset, 0)
    this.#lastWriteMs = this.#parts.clock.monotonicMs()
    if (!this.#parts.socket.write(header)) this.#state = 'full'
  }

  #everySecond(): void {
    const { settings, clock, socket } = this.#parts
    this.transferredByteInSecond = this.#bytesThisSecond
    this.#bytesThisSecond = 0
    const now = clock.monotonicMs()
    if (now - this.#lastReadMs > settings.haHousekeepingInterval) {
      this.#log.warn({ silentMs: Math.round(now - this.#lastReadMs) }, 'a slave is silent: its link is closed')
      socket.destroy()
      return
    }
    if (this.#state !== 'idle' || this.nextOffset < 0) return
    if (now - this.#lastWriteMs >= settings.haSendHeartbeatInterval) this.#heartbeat(this.nextOffset)
    this.pump()
  }

  #closed(error: Error | undefined): void {
    this.#tick.cancel()
    this.#log.info({ ackOffset: this.ackOffset, err: error && messageOf(error) }, 'slave disconnected')
    this.#state = 'closed'
    this.#parts.onClose()
  }
}
