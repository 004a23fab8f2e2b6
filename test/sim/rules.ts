import type { Stored } from './audit.ts'
import { storeDir } from './cluster.ts'
import type { Faults } from './faults.ts'
import type { History, Sent } from './history.ts'
import type { Scenario } from './scenario.ts'
import type { Machine } from './world.ts'

/** Acknowledged messages that the master no longer has, though what it promised says that it must. */
export function* lostMessages(scenario: Scenario, history: History, stored: Stored, faults: Faults): Generator<string> {
  for (const sent of history.sent.values()) {
    const { ack } = sent
    if (ack === undefined) continue
    const mustBeThere = isSafe(scenario, sent) || !faults.mayHaveLost(ack.atMs)
    if (!mustBeThere) continue
    const { queueId, queueOffset, status, atMs } = ack
    const places = stored.get(sent.key) ?? []
    if (places.some((place) => place.queueId === queueId && place.queueOffset === queueOffset)) continue
    const where = places.map((place) => `${place.queueId}:${place.queueOffset}`).join(' ') || 'nowhere'
    yield `${sent.key} was acknowledged at ${atMs.toFixed(1)} with ${status} at ${queueId}:${queueOffset}, and is ${where}`
  }
  if (scenario.flushDiskType !== 'SYNC_FLUSH') return
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

/** Where a slave's log differs from its master's; undefined: it is the same, byte for byte. */
export function slaveDifference(master: Machine, slave: Machine): string | undefined {
  const directory = `${storeDir}/commitlog`
  const [ours, theirs] = [master, slave].map(({ disk }) => disk.memory.list(directory))
  for (const { name, sizeBytes } of ours!) {
    const [a, b] = [master, slave].map((machine) => {
      const bytes = Buffer.alloc(sizeBytes)
      if (!machine.disk.memory.exists(`${directory}/${name}`)) return bytes
      const file = machine.disk.memory.open(`${directory}/${name}`, 'reading')
      file.read(bytes, 0)
      file.close()
      return bytes
    })
    if (a!.equals(b!)) continue
    const at = a!.findIndex((byte, index) => byte !== b![index])
    return `the slave’s log differs from the master’s at byte ${Number(name) + at}`
  }
  if (theirs!.length > ours!.length + 1) return `the slave has ${theirs!.length} segments, the master ${ours!.length}`
  return undefined
}
