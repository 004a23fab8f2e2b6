import type { Clock, Timer } from './clock.ts'

export interface OwnProcess {
  /** CPU time that the process has taken since it began, all threads. */
  cpuMs(): number
  residentBytes(): number
  /** Collects all garbage and gives back what that leaves empty; takes about a millisecond a megabyte in use. */
  collect(): void
}

const periodMs = 15_000
const idleCpuRatioMax = 0.1 // of a core: not while there is work, which a collection would hold up
const growthMin = 1.25

/**
 * Has a process give back what a burst of work left behind. V8 collects when more is allocated, so one that has nothing to do
 * any more keeps the garbage of what it did: an operator that had just read ten thousand Topics stayed at 316 MiB for good.
 * Collects after a period without much work, once memory has grown by a quarter since the last time.
 * @param baseBytes below 1.25 times this nothing is done
 * @returns ends it
 */
export function trimWhenIdle(own: OwnProcess, clock: Clock, baseBytes: number): Timer {
  let cpuMs = own.cpuMs()
  let keptBytes = baseBytes
  const timer = clock.every(periodMs, () => {
    const tookMs = own.cpuMs() - cpuMs
    if (tookMs < idleCpuRatioMax * periodMs && own.residentBytes() > growthMin * keptBytes) {
      own.collect()
      keptBytes = own.residentBytes()
    }
    keptBytes = Math.max(baseBytes, Math.min(keptBytes, own.residentBytes()))
    cpuMs = own.cpuMs() // without what the collection took
  })
  timer.unref()
  return timer
}
