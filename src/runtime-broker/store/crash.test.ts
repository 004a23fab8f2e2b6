import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { MemoryFiles } from '../../base/testing/files.ts'
import { retention, StoreBench } from './testing/bench.ts'

type Deed =
  | { do: 'append'; topic: string; queueId: number; bodyBytes: number }
  | { do: 'turn' }
  | { do: 'wait'; ms: number }
  | { do: 'stop' | 'kill' | 'powerCut' }
  | { do: 'failWrites'; fails: boolean }
  | { do: 'clean' }

const topic = fc.constantFrom('a', 'b')
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      topic,
      queueId: fc.nat(1),
      bodyBytes: fc.nat(900),
    }),
  },
  { weight: 6, arbitrary: fc.constant<Deed>({ do: 'turn' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(100, 1100, 11_000) }) },
  { weight: 1, arbitrary: fc.constantFrom<Deed>({ do: 'stop' }, { do: 'kill' }, { do: 'powerCut' }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('failWrites' as const), fails: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant<Deed>({ do: 'clean' }) },
)

/** What a test remembers of one message. */
interface Known {
  key: string
  text: string
  isAcked: () => boolean
  phyOffset: number
}

function keyOf(text: string): string {
  return `key${Number.parseInt(text, 10)}`
}

async function play(flush: 'SYNC' | 'ASYNC', deeds: readonly Deed[], seed: number): Promise<void> {
  let state = seed
  const chance = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  // A sync takes until the end of the next turn, so that crashes fall between a write and its sync.
  const beforeSync = () => new Promise<void>((resolve) => bench.clock.endOfTurn(resolve))
  const files = new MemoryFiles({ beforeSync })
  const remove = files.remove.bind(files)
  files.removeLater = async (path) => {
    await beforeSync()
    remove(path)
  }
  const atOnce = { ...retention, fileReservedHours: 0 }
  const bench = new StoreBench({ flush, retention: () => atOnce }, files)
  await bench.open()
  const known: Known[] = []
  let lossIsAllowed = false // ASYNC_FLUSH and a power cut
  let serial = 0
  const restart = async () => {
    bench.files.writeFailure = undefined
    await bench.reopen()
    await check()
  }
  const isKept = (one: Known) => one.isAcked() && one.phyOffset >= bench.store.commitLog.minOffset
  const check = async () => {
    for (const { topic, queueId } of [...bench.store.queues()]) {
      const messages = await bench.readAll(topic, queueId)
      const minOffset = bench.store.minOffset(topic, queueId)
      expect(messages.map(({ queueOffset }) => queueOffset)).toEqual(messages.map((_, index) => minOffset + index))
      expect(minOffset + messages.length).toBe(bench.store.maxOffset(topic, queueId))
      const texts = messages.map(({ body }) => body.toString())
      expect(new Set(texts).size).toBe(texts.length)
      if (lossIsAllowed) continue
      const acked = known.filter((one) => one.key === `${topic}/${queueId}` && isKept(one))
      expect(texts).toEqual(expect.arrayContaining(acked.map(({ text }) => text)))
      expect(texts.filter((text) => acked.some((one) => one.text === text))).toEqual(acked.map(({ text }) => text))
      for (const text of texts) expect(await bench.find(keyOf(text), { topic })).toContain(text)
    }
    const queues = [...bench.store.queues()].map(({ topic, queueId }) => `${topic}/${queueId}`)
    if (!lossIsAllowed) expect(queues).toEqual(expect.arrayContaining(known.filter(isKept).map(({ key }) => key)))
  }
  for (const step of deeds) {
    if (step.do === 'append') {
      const text = `${serial++}`.padEnd(step.bodyBytes, '.')
      try {
        const properties = `KEYS\u0001${keyOf(text)}\u0002`
        const sent = bench.append({ topic: step.topic, queueId: step.queueId, text, properties })
        known.push({
          key: `${step.topic}/${step.queueId}`,
          text,
          isAcked: () => sent.status === 'ok',
          phyOffset: sent.phyOffset,
        })
      } catch (error) {
        expect(error).toMatchObject({ code: 'STORE_FULL' })
      }
    } else if (step.do === 'turn') await bench.clock.turn()
    else if (step.do === 'wait') await bench.clock.advance(step.ms)
    else if (step.do === 'clean') {
      bench.store.removeExpiredSegments()
      await bench.clock.turn() // half of it, maybe
    } else if (step.do === 'failWrites') bench.files.writeFailure = step.fails ? 'ENOSPC' : undefined
    else if (step.do === 'stop') {
      bench.files.writeFailure = undefined
      await bench.close()
      await restart()
    } else if (step.do === 'kill') {
      bench.kill()
      await restart()
    } else if (step.do === 'powerCut') {
      lossIsAllowed ||= flush === 'ASYNC'
      bench.cutPower(chance)
      await restart()
    }
  }
  bench.files.writeFailure = undefined
  await bench.clock.advance(2000)
  await check()
}

const deeds = fc.array(deed, { minLength: 10, maxLength: 80 })

test.each(['SYNC', 'ASYNC'] as const)(
  'with %s flush, whatever happens: acknowledged messages are there until they expire, in order, and queues have no gap',
  async (flush) => {
    await fc.assert(
      fc.asyncProperty(deeds, fc.nat(), (steps, seed) => play(flush, steps, seed)),
      { numRuns: 80 },
    )
  },
  20_000,
)
