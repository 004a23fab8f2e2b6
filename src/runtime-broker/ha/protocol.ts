/**
 * What goes over the link between a master and its slaves, all big-endian. The slave connects.
 *
 *     slave → master    maxOffset i64          where its log ends; the first one says where the master is to begin,
 *                                              0: with its last segment
 *     master → slave    phyOffset i64, bytes i32, then so many bytes of the log; no bytes: a heartbeat
 *
 * Source: Apache RocketMQ 5, DefaultHAConnection and DefaultHAClient.
 */
import { readInt64, writeInt64 } from '../../remoting/message/index.ts'

const reportBytes = 8
export const headerBytes = 12

export function encodeReport(maxOffset: number): Buffer {
  const report = Buffer.allocUnsafe(reportBytes)
  writeInt64(report, maxOffset, 0)
  return report
}

export function writeHeader(into: Buffer, at: number, phyOffset: number, bytes: number): void {
  writeInt64(into, phyOffset, at)
  into.writeInt32BE(bytes, at + 8)
}

/** An offset that came from a peer; undefined: it can be none. */
function readOffset(from: Buffer): number | undefined {
  const offset = readInt64(from, 0)
  return Number.isSafeInteger(offset) && offset >= 0 ? offset : undefined
}

/** Cuts what a slave sends into its reports. */
export class ReportReader {
  readonly #part = Buffer.alloc(reportBytes)
  #partBytes = 0

  /** Calls onReport for each report that chunk completes. @returns false: that was no offset, the peer is no slave */
  take(chunk: Buffer, onReport: (maxOffset: number) => void): boolean {
    for (let at = 0; at < chunk.length; ) {
      const count = chunk.copy(this.#part, this.#partBytes, at)
      at += count
      this.#partBytes += count
      if (this.#partBytes < reportBytes) return true
      this.#partBytes = 0
      const offset = readOffset(this.#part)
      if (offset === undefined) return false
      onReport(offset)
    }
    return true
  }
}

export interface FrameEvents {
  /** A frame begins; bytes 0: it is a heartbeat. @returns false: read no further */
  header(phyOffset: number, bytes: number): boolean
  /** Some of the frame's bytes, which begin at phyOffset of the master's log. @returns false: read no further */
  bytes(phyOffset: number, bytes: Buffer): boolean
}

/** Cuts what a master sends into headers and bytes of the log, which are passed on as they come. */
export class FrameReader {
  readonly #header = Buffer.alloc(headerBytes)
  #headerBytes = 0
  #phyOffset = 0
  #left = 0 // of the frame's bytes

  /** @returns false: an event said so, or that was no frame */
  take(chunk: Buffer, events: FrameEvents): boolean {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(at, at + this.#left)
        at += bytes.length
        this.#left -= bytes.length
        const phyOffset = this.#phyOffset
        this.#phyOffset += bytes.length
        if (!events.bytes(phyOffset, bytes)) return false
        continue
      }
      const count = chunk.copy(this.#header, this.#headerBytes, at)
      at += count
      this.#headerBytes += count
      if (this.#headerBytes < headerBytes) return true
      this.#headerBytes = 0
      const phyOffset = readOffset(this.#header)
      const bytes = this.#header.readInt32BE(8)
      if (phyOffset === undefined || bytes < 0) return false
      this.#phyOffset = phyOffset
      this.#left = bytes
      if (!events.header(phyOffset, bytes)) return false
    }
    return true
  }
}
