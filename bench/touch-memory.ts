/**
 * Writes once to so many GiB of free memory, then gives them back by ending: the kernel hands out first what was freed last.
 *   node bench/touch-memory.ts [GIB=2]
 * A virtual machine's host may give it a page only when it is first touched, five times as slow as a page that it has, and
 * take back what is free; which broker would pay for that is chance. Prints the milliseconds of its fastest and slowest GiB.
 */
import { readFileSync } from 'node:fs'

const mib = 2 ** 20
const chunkMiB = 256
const pageBytes = 4096
const leftMiB = 1024 // for what else runs

const free = /^MemFree:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) // what files hold stays where it is
const wantedMiB = Math.min(Number(process.argv[2] ?? 2) * 1024, Math.floor(Number(free?.[1]) / 1024) - leftMiB)
const held: Buffer[] = []
const times: number[] = []
while ((held.length + 1) * chunkMiB <= wantedMiB) {
  const startedMs = performance.now()
  const chunk = Buffer.allocUnsafeSlow(chunkMiB * mib)
  for (let at = 0; at < chunk.length; at += pageBytes) chunk[at] = 1
  held.push(chunk)
  times.push(((performance.now() - startedMs) * 1024) / chunkMiB)
}
if (times.length === 0) console.log('no free memory to touch')
else console.log(`${((held.length * chunkMiB) / 1024).toFixed(1)} GiB of free memory touched, ${range(times)} ms each`)

function range(all: readonly number[]): string {
  const [least, most] = [Math.min(...all), Math.max(...all)].map((ms) => ms.toFixed(0))
  return `${least} to ${most}`
}
