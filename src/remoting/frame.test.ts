import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isOperatingError } from '../base/errors.ts'
import { languageNames } from './codes.ts'
import type { Command } from './command.ts'
import {
  encodeCommand,
  encodeRocketmqCommand,
  FrameDecoder,
  frameBytesMax,
  frameParts,
  joinedBytesMax,
  responseFrame,
  responseHeader,
} from './frame.ts'
import { SpareBuffers } from './spare-buffers.ts'

const anyText = fc.string({ unit: 'binary', maxLength: 40 })
const anyCommand = fc.record<Command>({
  code: fc.integer({ min: 0, max: 0x7fff }),
  language: fc.constantFrom(...languageNames),
  version: fc.integer({ min: 0, max: 0x7fff }),
  opaque: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  flag: fc.integer({ min: 0, max: 3 }),
  remark: fc.option(
    anyText.filter((text) => text !== ''),
    { nil: undefined },
  ),
  extFields: fc.dictionary(
    fc.string({ maxLength: 12 }).filter((key) => key !== '__proto__'),
    anyText,
    { noNullPrototype: true },
  ),
  body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
})
const encoders = fc.constantFrom(encodeCommand, encodeRocketmqCommand)

function decode(chunks: readonly Buffer[], bytesMax?: number): Command[] {
  const decoder = new FrameDecoder(bytesMax)
  const commands: Command[] = []
  for (const chunk of chunks) decoder.push(chunk, (command) => commands.push(command))
  return commands
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...[...at].sort((a, b) => a - b), bytes.length]
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
}

/** A frame whose header is the given JSON text. */
function frameOf(header: string, body = ''): Buffer {
  return Buffer.concat(frameParts(header, [Buffer.from(body)]))
}

function failure(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return isOperatingError(error) ? error.code : String(error)
  }
  return undefined
}

test('what is encoded is decoded, in both serialisations', () => {
  fc.assert(
    fc.property(anyCommand, encoders, (command, encode) => {
      expect(decode([encode(command)])).toEqual([command])
    }),
  )
})

test('decoders that share spare buffers do not disturb each other', () => {
  const bodies = fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(
      fc.array(bodies, { minLength: 2, maxLength: 4 }),
      fc.integer({ min: 1, max: 70_000 }),
      (peers, step) => {
        const spare = new SpareBuffers(64 * 1024, 512 * 1024)
        const streams = peers.map((sizes, peer) => ({
          decoder: new FrameDecoder(undefined, spare),
          bytes: Buffer.concat(sizes.map((size) => frameOf('{"code":1,"opaque":1}', String(peer).repeat(size)))),
          bodies: [] as string[],
        }))
        const longest = Math.max(...streams.map(({ bytes }) => bytes.length))
        for (let at = 0; at < longest; at += step) {
          for (const { decoder, bytes, bodies } of streams)
            decoder.push(bytes.subarray(at, at + step), ({ body }) => bodies.push(body.toString()))
        }
        expect(streams.map(({ bodies }) => bodies)).toEqual(
          peers.map((sizes, peer) => sizes.map((size) => String(peer).repeat(size))),
        )
      },
    ),
    { numRuns: 30 },
  )
})

test('the bytes of a frame that came in pieces are used again', () => {
  const spare = new SpareBuffers(64 * 1024, 512 * 1024)
  const decoder = new FrameDecoder(undefined, spare)
  const frame = frameOf('{"code":1,"opaque":1}', 'x'.repeat(40_000))
  const memories = new Set<ArrayBufferLike>()
  for (let count = 0; count < 10; count++) {
    for (const piece of cut(frame, [10_000])) decoder.push(piece, ({ body }) => memories.add(body.buffer))
  }
  expect(memories.size).toBe(1)
})

test('any cut of the stream gives the same frames', () => {
  const stream = fc.array(fc.tuple(anyCommand, encoders), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(stream, fc.array(fc.nat(), { maxLength: 20 }), (frames, cuts) => {
      const bytes = Buffer.concat(frames.map(([command, encode]) => encode(command)))
      const chunks = cut(
        bytes,
        cuts.map((at) => at % (bytes.length + 1)),
      )

      expect(decode(chunks)).toEqual(frames.map(([command]) => command))
    }),
  )
})

test('two frames cut at every single position arrive whole', () => {
  const command = {
    code: 10,
    language: 'GO',
    version: 317,
    opaque: 7,
    flag: 0,
    remark: undefined,
    extFields: { a: 'ü' },
  }
  const bytes = Buffer.concat([
    encodeCommand({ ...command, body: Buffer.from('one') }),
    encodeRocketmqCommand({ ...command, body: Buffer.alloc(0) }),
  ])
  for (let at = 0; at <= bytes.length; at++) {
    const bodies = decode(cut(bytes, [at])).map(({ body }) => body.toString())
    expect(bodies).toEqual(['one', ''])
  }
})

test('a large frame in small chunks arrives whole', () => {
  const body = Buffer.alloc(300_000, 'x')
  const bytes = encodeCommand({
    code: 10,
    language: 'JAVA',
    version: 1,
    opaque: 1,
    flag: 0,
    remark: undefined,
    extFields: {},
    body,
  })
  const chunks = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, index) =>
    bytes.subarray(index * 1000, (index + 1) * 1000),
  )

  expect(decode(chunks)[0]?.body.equals(body)).toBe(true)
})

test('a body in one chunk is a view on it, not a copy', () => {
  const chunk = frameOf('{"code":1,"opaque":1}', 'body')

  const [command] = decode([chunk])

  expect(command?.body.buffer).toBe(chunk.buffer)
})

test('frames before an invalid one are delivered', () => {
  const commands: Command[] = []
  const bytes = Buffer.concat([frameOf('{"code":1,"opaque":1}'), Buffer.from([0xff, 0xff, 0xff, 0xff])])

  const code = failure(() => new FrameDecoder().push(bytes, (command) => commands.push(command)))

  expect([commands.length, code]).toEqual([1, 'FRAME_INVALID'])
})

test.each([
  ['a negative length', 'ffffffff', 'FRAME_INVALID'],
  ['a length that leaves no room for the mark', '00000003000000', 'FRAME_INVALID'],
  ['a length above the maximum', '01000000', 'FRAME_TOO_LARGE'],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n').toString('hex'), 'FRAME_TOO_LARGE'],
  ['a TLS hello', '1603010200010001fc0303', 'FRAME_TOO_LARGE'],
  ['a header longer than the frame', '0000000600000003aabb', 'FRAME_INVALID'],
  ['an unknown serialisation', '0000000402000000', 'FRAME_INVALID'],
  ['no header', '0000000400000000', 'FRAME_INVALID'],
  ['a header that is no JSON', '00000006000000027b7b', 'FRAME_INVALID'],
  ['a header that is no object', '00000005000000017b'.replace('7b', '31'), 'FRAME_INVALID'],
  ['a binary header that ends inside a field', '00000006010000020001', 'FRAME_INVALID'],
])('%s is refused', (_, hex, code) => {
  expect(failure(() => decode([Buffer.from(hex, 'hex')]))).toBe(code)
})

test.each([
  '"code":2147483648,"opaque":1',
  '"code":1,"opaque":12345678901234567',
  '"code":1,"opaque":"-2147483649"',
  '"code":1,"opaque":1e300',
  '"code":1,"opaque":" 7"',
  '"code":1,"opaque":"0x10"',
  '"code":1,"opaque":"x"',
  '"code":1,"opaque":[]',
  '"code":1,"opaque":1,"flag":4294967296',
  '"code":1,"opaque":1,"version":2147483648',
])('a header whose numbers are no int32 is refused: %s', (fields) => {
  expect(failure(() => decode([frameOf(`{${fields}}`)]))).toBe('FRAME_INVALID')
})

test.each([
  ['"opaque":7', { code: 0, opaque: 7 }],
  ['"code":105,"opaque":null', { code: 105, opaque: 0 }],
  ['"code":null,"opaque":"","flag":null,"version":null', { code: 0, opaque: 0, flag: 0, version: 0 }],
  ['"code":"105","opaque":7.9', { code: 105, opaque: 7 }],
  ['"code":105,"opaque":"1e3","flag":-0', { code: 105, opaque: 1000, flag: 0 }],
  ['"code":105,"opaque":-2147483648', { code: 105, opaque: -2_147_483_648 }],
])('a header whose numbers are written otherwise is read as Apache reads it: %s', (fields, expected) => {
  expect(decode([frameOf(`{${fields}}`)])[0]).toMatchObject(expected)
})

test('hostile bytes only ever give FRAME_INVALID or FRAME_TOO_LARGE', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(anyCommand, encoders, flips, (command, encode, changes) => {
      const bytes = encode(command)
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      expect([undefined, 'FRAME_INVALID', 'FRAME_TOO_LARGE']).toContain(failure(() => decode([bytes])))
    }),
    { numRuns: 300 },
  )
})

test('extFields of numbers and booleans become their text, with all digits', () => {
  const [command] = decode([
    frameOf(
      '{"code":11,"opaque":1,"extFields":{"queueId":3,"isForce":true,"none":null,"subVersion":1795411641097123456,"text":"t"}}',
    ),
  ])

  expect(command?.extFields).toEqual({ queueId: '3', isForce: 'true', subVersion: '1795411641097123456', text: 't' })
})

test.each(['{"code":1,"opaque":2}', '{"code":1,"opaque":2,"extFields":null,"language":"KLINGON","remark":null}'])(
  'what is absent has a default: %s',
  (header) => {
    const [command] = decode([frameOf(header)])

    expect(command).toMatchObject({ version: 0, flag: 0, remark: undefined, extFields: {} })
  },
)

test('large bodies are not copied into the frame', () => {
  const body = Buffer.alloc(joinedBytesMax + 1)

  const parts = frameParts('{"code":0,"opaque":1}', [body])

  expect(parts[1]).toBe(body)
  expect(decode([Buffer.concat(parts)])[0]?.body.length).toBe(body.length)
})

test('a frame that no peer would take is not made', () => {
  expect(failure(() => frameParts('{}', [Buffer.alloc(frameBytesMax)]))).toBe('FRAME_TOO_LARGE')
})

test('a response made by hand reads as any other', () => {
  const frame = responseFrame(9, 17, '{"a":"1"}', 'no "route"\n')

  expect(decode([frame])[0]).toMatchObject({
    code: 17,
    opaque: 9,
    flag: 1,
    extFields: { a: '1' },
    remark: 'no "route"\n',
  })
  expect(responseHeader(9, 0)).toBe(
    '{"code":0,"flag":1,"language":"OTHER","opaque":9,"serializeTypeCurrentRPC":"JSON","version":513}',
  )
})

test('a code that does not fit the binary header is refused', () => {
  const command = { code: 200_050, language: 'JAVA', version: 1, opaque: 1, flag: 0, remark: undefined, extFields: {} }

  expect(failure(() => encodeRocketmqCommand({ ...command, body: Buffer.alloc(0) }))).toBe('HEADER_INVALID')
})

test.each([
  '{"code":10,"opaque":1,"extFields":{"a":9007199254740993,"b":[9007199254740993]}}',
  '{"code":10,"opaque":1,"extFields":{"a":9007199254740993,"__proto__":1,"__proto__":2}}',
])('%s is read like others', (header) => {
  const length = Buffer.alloc(8)
  length.writeInt32BE(4 + header.length, 0)
  length.writeInt32BE(header.length, 4)
  const commands: Command[] = []
  new FrameDecoder().push(Buffer.concat([length, Buffer.from(header)]), (command) => commands.push(command))
  expect(commands[0]?.extFields.a).toBe('9007199254740993')
})
