import {
  decodeMessage,
  isBodyIntact,
  layoutOf,
  recordBytesMin,
  type StoredMessage,
} from '../../src/remoting/message/index.ts'
import { offsetName } from '../../src/runtime-broker/store/segments.ts'
import type { Stored } from './audit.ts'
import { storeDir } from './cluster.ts'
import type { Faults } from './faults.ts'
import type { Ack, History, Sent } from './history.ts'
import type { Scenario } from './scenario.ts'
import type { Machine } from './world.ts'

/** Acknowledged messages that the master no longer has, though what it promised says that it must. */
export function* lostMessages(scenario: Scenario, history: History, stored: Stored, faults: Faults): Generator<string> {
  for (const sent of history.sent.values()) {
    const { ack } = sent
    if (ack === undefined) continue
    const mustBeThere = isSafe(scenario, sent) || !faults.mayHaveLost(sent.atMs, ack.atMs)
    if (!mustBeThere) continue
    const { queueId, queueOffset, status, atMs } = ack
    const places = stored.get(sent.key) ?? []
    if (places.some((place) => place.queueId === queueId && place.queueOffset === queueOffset)) continue
    const where = places.map((place) => `${place.queueId}:${place.queueOffset}`).join(' ') || 'nowhere'
    yield `${sent.key} was acknowledged at ${atMs.toFixed(1)} with ${status} at ${queueId}:${queueOffset}, and is ${where}`
  }
  if (scenario.flushDiskType !== 'SYNC_FLUSH' || faults.mayHaveReadLost()) return
  for (const key of history.consumed.keys()) if (!stored.has(key)) yield `${key} was consumed, and is nowhere`
}

/** Whether its acknowledgement says that it survives a power cut. */
function isSafe({ flushDiskType }: Scenario, { waitsForFlush, ack }: Sent): boolean {
  return flushDiskType === 'SYNC_FLUSH' && waitsForFlush && ack!.status !== 'FLUSH_DISK_TIMEOUT'
}

/** Messages that the master has, and that no consumer got. */
export function* missedMessages(history: History, stored: Stored, faults: Faults): Generator<string> {
  for (const [key, places] of stored) {
    if (history.consumed.has(key)) continue
    if (places.some(({ queueId, queueOffset }) => faults.mayBeSkipped(queueId, queueOffset))) continue
    yield `${key} at ${places.map(({ queueId, queueOffset }) => `${queueId}:${queueOffset}`)} was never consumed`
  }
}

/** What is wrong with an acknowledgement at its very moment: the disks that it speaks of must have the message. */
export function brokenPromise(
  scenario: Scenario,
  { sent, ack }: { sent: Sent; ack: Ack },
  machines: { master: Machine; slaves: readonly Machine[] },
  faults: Faults,
): string | undefined {
  const { status, phyOffset } = ack
  if (phyOffset === undefined) return undefined
  const isSync = scenario.flushDiskType === 'SYNC_FLUSH'
  const promises = `${sent.key} was acknowledged with ${status} at byte ${phyOffset} of the log, and`
  const isFlushed = isSafe(scenario, sent)
  if (isFlushed || !faults.mayHaveLost(sent.atMs, ack.atMs)) {
    const found = keyAt(scenario, machines.master, phyOffset, isFlushed)
    if (found !== sent.key)
      return `${promises} ${isFlushed ? 'a power cut would leave' : 'the master has'} ${found} there`
  }
  if (scenario.brokerRole !== 'SYNC_MASTER' || status !== 'SEND_OK' || !sent.waitsForFlush) return undefined
  const found = machines.slaves.map((slave) =>
    faults.mayHaveLostCopy(slave, sent.atMs) ? sent.key : keyAt(scenario, slave, phyOffset, isSync),
  )
  const copies = found.filter((key) => key === sent.key).length
  if (copies >= scenario.inSyncReplicas - 1) return undefined
  return `${promises} of the ${scenario.inSyncReplicas - 1} slaves it waits for ${copies} have it: they have ${found}`
}

/** The key of the message whose record begins there, or what there is instead. */
function keyAt(scenario: Scenario, machine: Machine, phyOffset: number, isSafe: boolean): string {
  const record = recordAt(scenario, machine, phyOffset, isSafe)
  return typeof record === 'string' ? record : (record.properties.get('key') ?? 'a message without a key')
}

/**
 * The record that begins at a byte of the log, or what there is instead.
 * @param isSafe as a power cut at its worst would leave it
 */
export function recordAt(
  { segmentBytes }: Scenario,
  { disk: { memory } }: Machine,
  phyOffset: number,
  isSafe: boolean,
): StoredMessage | 'no file' | 'no record' | 'a torn record' {
  const start = phyOffset - (phyOffset % segmentBytes)
  const path = `${storeDir}/commitlog/${offsetName(start)}`
  const read = (into: Buffer, position: number) =>
    isSafe ? memory.readSafe(path, into, position) : memory.readLive(path, into, position)
  const size = Buffer.alloc(4)
  if (read(size, phyOffset - start) < size.length) return 'no file'
  const record = Buffer.alloc(Math.min(Math.max(0, size.readInt32BE(0)), segmentBytes))
  if (record.length < recordBytesMin || read(record, phyOffset - start) < record.length) return 'no record'
  const layout = layoutOf(record, 0)
  if (layout === undefined || !isBodyIntact(record, 0, layout)) return 'a torn record'
  return decodeMessage(record, 0)
}

/** Whether a slave has its master's log from its first byte on: a new one begins with the master's last segment. */
export function hasWholeLog({ disk }: Machine): boolean {
  return disk.memory.list(`${storeDir}/commitlog`)[0]?.name === offsetName(0)
}

/** Where a slave's log differs from its master's; undefined: it is the same from its first segment on, byte for byte. */
export function slaveDifference(master: Machine, slave: Machine): string | undefined {
  const directory = `${storeDir}/commitlog`
  const copies = slave.disk.memory.list(directory)
  const first = copies[0]?.name
  if (first === undefined) return 'the slave has no log' // a new one begins with the master's last segment
  const originals = master.disk.memory.list(directory).filter(({ name }) => name >= first)
  for (const { name, sizeBytes } of originals) {
    const a = contentOf(master, `${directory}/${name}`, sizeBytes)
    const b = contentOf(slave, `${directory}/${name}`, sizeBytes)
    const at = a.equals(b) ? -1 : a.findIndex((byte, index) => byte !== b[index])
    if (at >= 0) return `the slave’s log differs from the master’s at byte ${Number(name) + at}`
  }
  const isTooLong = copies.length > originals.length + 1 // one may be made ahead of time
  return isTooLong ? `the slave has ${copies.length} segments, the master ${originals.length}` : undefined
}

/** Zeroes where there is no such file. */
function contentOf({ disk }: Machine, path: string, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  disk.memory.readLive(path, bytes, 0)
  return bytes
}
