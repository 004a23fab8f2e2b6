import { describe, expect, test } from '@jest/globals'
import { trimWhenIdle } from './idle-memory.ts'
import { ownProcess } from './node/own-process.ts'
import { ManualClock } from './testing/clock.ts'

const mib = 1024 * 1024

function startTrimming() {
  const clock = new ManualClock()
  const usage = { cpu: 0, resident: 100 * mib, kept: 100 * mib, collections: 0 }
  const timer = trimWhenIdle(
    {
      cpuMs: () => usage.cpu,
      residentBytes: () => usage.resident,
      collect() {
        usage.collections++
        usage.cpu += 400
        usage.resident = usage.kept
      },
    },
    clock,
    100 * mib,
  )
  const pass = async (work: { cpuMs: number; resident: number }) => {
    usage.cpu += work.cpuMs
    usage.resident = work.resident * mib
    await clock.advance(15_000)
  }
  return { usage, timer, pass }
}

describe('memory of an idle process', () => {
  test('is given back after a burst, once', async () => {
    const { usage, pass } = startTrimming()
    usage.kept = 190 * mib
    await pass({ cpuMs: 9_000, resident: 316 })
    expect(usage.collections).toBe(0) // at work
    await pass({ cpuMs: 200, resident: 316 })
    expect(usage.collections).toBe(1)
    await pass({ cpuMs: 200, resident: 200 })
    await pass({ cpuMs: 200, resident: 230 })
    expect(usage.collections).toBe(1) // 230 of 190 is no quarter more
    await pass({ cpuMs: 200, resident: 240 })
    expect(usage.collections).toBe(2)
  })

  test('is left alone while it is little, and after the end', async () => {
    const { usage, timer, pass } = startTrimming()
    await pass({ cpuMs: 0, resident: 124 })
    timer.cancel()
    await pass({ cpuMs: 0, resident: 500 })
    expect(usage.collections).toBe(0)
  })

  test('a process collects its own garbage, and its program gets no new global', async () => {
    const garbage = new WeakRef({ of: 'this test' })
    await Promise.resolve() // until the end of the job that made it a WeakRef keeps its object
    await new Promise(setImmediate)
    ownProcess.collect()
    expect(garbage.deref()).toBeUndefined()
    expect('gc' in globalThis).toBe(false)
    expect(ownProcess.residentBytes()).toBeGreaterThan(10 * mib)
    expect(ownProcess.cpuMs()).toBeGreaterThan(0)
  })
})
