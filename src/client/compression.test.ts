import { zstdCompressSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { OperatingError } from '../base/errors.ts'
import { MessageSysFlag } from '../remoting/message/index.ts'
import { compress, decompress } from './compression.ts'
import { decompressLz4 } from './lz4.ts'

const { COMPRESSED, COMPRESSION_LZ4, COMPRESSION_ZLIB, COMPRESSION_ZSTD } = MessageSysFlag
const orders = Array.from({ length: 40 }, (_, index) => `order ${index % 7} paid, `).join('')

/** What Apache's 5.5.0 compressors make of `orders`, in base64. */
const ofApache: readonly [string, number, string][] = [
  [
    'lz4',
    COMPRESSION_LZ4,
    'BCJNGGBwczQAAADib3JkZXIgMCBwYWlkLCAOABkxDgAZMg4AGTMOABk0DgAZNQ4AGTYOAA9iAP+xUGFpZCwgAAAAAA==',
  ],
  [
    'zstd',
    COMPRESSION_ZSTD,
    'KLUv/QBYvAMAxANvcmRlciAwIHBhaWQsIDEyMzQ1NjAxMjM0NTYwMTIzNDU2MDEyMzQ1NjAxMjM0NTYwMTIzNCBwYWlkLCAnIODnhxx3sEOOO9ghxx3skOMOdshxBzvkuIMd4riDHXLcwQ457mCHHHewQ4472CHHHewQfa4YkhIBAAA=',
  ],
  ['zlib', COMPRESSION_ZLIB, 'eF7LL0pJLVIwUChIzEzRUcgH8wxReEYoPGMUngkKzxSFZ4bCG7VheNgAAIuMsuQ='],
]

test.each(ofApache)('a body that Apache’s client compressed with %s is read', (_, algorithm, base64) => {
  expect(decompress(Buffer.from(base64, 'base64'), COMPRESSED | algorithm).toString()).toBe(orders)
})

test('what we compress is read', () => {
  const { body, sysFlag } = compress(Buffer.from(orders))
  expect(body.length).toBeLessThan(orders.length)
  expect(decompress(body, sysFlag).toString()).toBe(orders)
})

test.each([
  ['zlib', COMPRESSION_ZLIB],
  ['zstd', COMPRESSION_ZSTD],
  ['lz4', COMPRESSION_LZ4],
  ['an unknown algorithm', 0x400],
])('bytes that are not of %s are refused', (_, algorithm) => {
  expect(codeOf(() => decompress(Buffer.from('not compressed at all'), COMPRESSED | algorithm))).toBe('BODY_INVALID')
})

test('a body that would grow without end is refused', () => {
  const bomb = zstdCompressSync(Buffer.alloc(65 * 1024 * 1024))
  expect(codeOf(() => decompress(bomb, COMPRESSED | COMPRESSION_ZSTD))).toBe('BODY_INVALID')
})

const independent = 0x60
const linked = 0x40

/** @param blocks as they are; true before one: its bytes are not compressed */
function frame(flags: number, ...blocks: readonly (Buffer | [true, Buffer])[]): Buffer {
  const contentSize = Buffer.alloc((flags & 0x08) !== 0 ? 8 : 0)
  const checksum = (bit: number) => Buffer.alloc((flags & bit) !== 0 ? 4 : 0)
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value >>> 0)
    return bytes
  }
  const parts = blocks.flatMap((block) => {
    const [isRaw, bytes] = Array.isArray(block) ? block : [false, block]
    return [u32((isRaw ? 0x8000_0000 : 0) + bytes.length), bytes, checksum(0x10)]
  })
  return Buffer.concat([
    u32(0x184d2204),
    Buffer.from([flags, 0x40]),
    contentSize,
    Buffer.from([0]),
    ...parts,
    u32(0),
    checksum(0x04),
  ])
}

/** One sequence: literals, then a match of at least 4 so far back; or literals alone. Each shorter than 15. */
function sequence(literals: string, distance?: number, count = 0): Buffer {
  const match = distance === undefined ? [] : [distance & 0xff, distance >>> 8]
  return Buffer.from([(literals.length << 4) | Math.max(0, count - 4), ...Buffer.from(literals), ...match])
}

const expand = (bytes: Buffer, bytesMax = 1_000) => decompressLz4(bytes, bytesMax).toString()

test('LZ4: matches, also into what they write', () => {
  const block = Buffer.concat([sequence('ab', 2, 7), sequence('-', 1, 4), sequence('.')])
  expect(expand(frame(independent, block))).toBe('ababababa-----.')
})

test('LZ4: long lengths take further bytes', () => {
  const text = 'x'.repeat(15 + 255 + 3)
  const block = Buffer.concat([
    Buffer.from([0xff, 255, 3]),
    Buffer.from(text),
    Buffer.from([1, 0, 255, 0]),
    sequence('!'),
  ])
  expect(expand(frame(independent, block))).toBe(`${text}${'x'.repeat(4 + 15 + 255)}!`)
})

test.each([0, 0x04, 0x08, 0x10, 0x1c])('LZ4: checksums and a content size (flags %d) are passed over', (more) => {
  const blocks = [sequence('abc'), [true, Buffer.from('raw')]] as const
  expect(expand(frame(independent | more, ...blocks.map((one) => one as Buffer | [true, Buffer])))).toBe('abcraw')
})

test('LZ4: a match reaches into the block before only where blocks are linked', () => {
  const blocks = [sequence('abcd'), Buffer.concat([sequence('', 4, 4), sequence('!')])]
  expect(expand(frame(linked, ...blocks))).toBe('abcdabcd!')
  expect(codeOf(() => expand(frame(independent, ...blocks)))).toBe('BODY_INVALID')
})

test('LZ4: frames follow one another, and some are to be skipped', () => {
  const skipped = Buffer.from([0x5c, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
  const one = frame(linked, sequence('one '))
  expect(expand(Buffer.concat([one, skipped, frame(linked, sequence('two'))]))).toBe('one two')
})

test('LZ4: a result longer than allowed is refused, not made', () => {
  expect(codeOf(() => expand(frame(independent, sequence('abc', 3, 18)), 20))).toBe('BODY_INVALID')
})

test('LZ4: whatever is cut or changed is read or refused, and ends', () => {
  const good = Buffer.from(ofApache[0]![2], 'base64')
  const damage = fc.record({
    cut: fc.nat(good.length),
    changes: fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255))),
  })
  fc.assert(
    fc.property(damage, ({ cut, changes }) => {
      const bytes = Buffer.from(good)
      for (const [at, value] of changes) bytes[at] = value
      expect([undefined, 'BODY_INVALID']).toContain(codeOf(() => decompressLz4(bytes.subarray(0, cut), 10_000)))
    }),
  )
})

/** @throws what is no OperatingError */
function codeOf(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error
    return error.code
  }
}
