/**
 * Keeps memory at hand that was written to: on each line of its input it holds GIB of it, says so, and from then on gives back
 * as much as others take. Ends with its input.
 *   node bench/warm-memory.ts [GIB=4]
 * A virtual machine's host may give it a page only when it is first touched, five times as slow as a page that it has, and take
 * back within seconds what is free; which broker would pay for that is chance. The kernel hands out first what was freed last.
 * The answer tells the milliseconds of the fastest and the slowest GiB.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const mib = 2 ** 20
const chunkMiB = 64
const pageBytes = 4096
const leftMiB = 1024 // for what else runs
const lookEveryMs = 20 // a broker takes 3 MiB meanwhile

const wantedMiB = Number(process.argv[2] ?? 4) * 1024
const held: ArrayBuffer[] = []
let freeToKeepMiB = 0

function freeMiB(): number {
  return Number(/^MemFree:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024
}

function fill(): string {
  const times: number[] = []
  while ((held.length + 1) * chunkMiB <= wantedMiB && freeMiB() > leftMiB) {
    const startedMs = performance.now()
    const chunk = new Uint8Array(chunkMiB * mib)
    for (let at = 0; at < chunk.length; at += pageBytes) chunk[at] = 1
    held.push(chunk.buffer)
    times.push(((performance.now() - startedMs) * 1024) / chunkMiB)
  }
  freeToKeepMiB = freeMiB()
  const range =
    times.length === 0 ? '' : ` (${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms each)`
  return `${((held.length * chunkMiB) / 1024).toFixed(1)} GiB of memory held, ${((times.length * chunkMiB) / 1024).toFixed(1)} new${range}`
}

const giving = setInterval(() => {
  while (held.length > 0 && freeMiB() < freeToKeepMiB - chunkMiB / 2) held.pop()!.transfer(0) // frees it at once
}, lookEveryMs)
const lines = createInterface({ input: process.stdin })
lines.on('line', () => console.log(fill()))
lines.on('close', () => clearInterval(giving))
