import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { encodeReport, FrameReader, ReportReader, writeHeader } from './protocol.ts'

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const length = lengths[index % lengths.length]!
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunks
}

const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 })

test('reports arrive whole and in order, however the stream is cut', () => {
  const offsets = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { minLength: 1 })
  fc.assert(
    fc.property(offsets, cuts, (sent, lengths) => {
      const reader = new ReportReader()
      const got: number[] = []
      for (const chunk of cut(Buffer.concat(sent.map(encodeReport)), lengths)) {
        expect(reader.take(chunk, (offset) => void got.push(offset))).toBe(true)
      }
      expect(got).toEqual(sent)
    }),
  )
})

test('what is no offset is said', () => {
  expect(new ReportReader().take(Buffer.from('GET / HTTP/1.1\r\n'), () => {})).toBe(false)
  expect(new ReportReader().take(Buffer.alloc(8, 0xff), () => {})).toBe(false)
})

test('frames give back their bytes at their places, however the stream is cut', () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1 })
  fc.assert(
    fc.property(bodies, cuts, (sent, lengths) => {
      let phyOffset = 1_000_000_007
      const frames = sent.map((body) => {
        const frame = Buffer.alloc(12 + body.length)
        writeHeader(frame, 0, phyOffset, body.length)
        frame.set(body, 12)
        phyOffset += body.length
        return frame
      })
      const reader = new FrameReader()
      const headers: number[] = []
      const got: number[] = []
      let next = 1_000_000_007
      for (const chunk of cut(Buffer.concat(frames), lengths)) {
        const isFine = reader.take(chunk, {
          header: (_offset, bytes) => headers.push(bytes) > 0,
          bytes(offset, bytes) {
            expect(offset).toBe(next)
            next += bytes.length
            return got.push(...bytes) > 0
          },
        })
        expect(isFine).toBe(true)
      }
      expect(headers).toEqual(sent.map(({ length }) => length))
      expect(got).toEqual(sent.flatMap((body) => [...body]))
    }),
  )
})

test('a frame whose length is none is refused', () => {
  const frame = Buffer.alloc(12)
  writeHeader(frame, 0, 5, -1)
  expect(new FrameReader().take(frame, { header: () => true, bytes: () => true })).toBe(false)
})
