/**
 * Writes once to nearly all memory that is free, then gives it back by ending. A virtual machine's host may give it a page only
 * when it is first touched, ten times as slow as a page that it has: which broker would pay for that is chance.
 *   node bench/touch-memory.ts
 * Prints how much it took, and the milliseconds of its fastest and slowest GiB: far apart where the host had pages to give.
 */
import { readFileSync } from 'node:fs'

const mib = 2 ** 20
const chunkMiB = 256
const pageBytes = 4096
const leftMiB = 1024 // for what else runs
const secondsMax = 180 // a machine with much memory is touched in part

const free = /^MemFree:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) // what files hold stays where it is
const wantedMiB = Math.floor(Number(free?.[1]) / 1024) - leftMiB
const held: Buffer[] = []
const times: number[] = []
const startedMs = performance.now()
while (held.length * chunkMiB < wantedMiB && performance.now() - startedMs < secondsMax * 1000) {
  const chunkStartedMs = performance.now()
  const chunk = Buffer.allocUnsafeSlow(chunkMiB * mib)
  for (let at = 0; at < chunk.length; at += pageBytes) chunk[at] = 1
  held.push(chunk)
  times.push(((performance.now() - chunkStartedMs) * 1024) / chunkMiB)
}
if (times.length === 0) console.log('no free memory to touch')
else console.log(`${((held.length * chunkMiB) / 1024).toFixed(1)} GiB of free memory touched, ${range(times)} ms each`)

function range(all: readonly number[]): string {
  const [least, most] = [Math.min(...all), Math.max(...all)].map((ms) => ms.toFixed(0))
  return `${least} to ${most}`
}
