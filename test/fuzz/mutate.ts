import { deflateSync } from 'node:zlib'
import type { Chance } from '../../src/base/testing/chance.ts'
import type { Command } from '../../src/remoting/command.ts'
import { encodeCommand, encodeRocketmqCommand } from '../../src/remoting/frame.ts'
import { codes, fieldName, oddText } from './corpus.ts'

const bombBytes = 80 * 1024 * 1024 // above what our reader inflates
let bomb: Buffer | undefined

/** Changes a request here and there; it stays one that frames and headers allow. */
export function mutateRequest(request: Command, chance: Chance): Command {
  const extFields: Record<string, string> = { ...request.extFields }
  let { body, language, version, remark, code } = request
  for (let left = 1 + chance.int(4); left > 0; left--) {
    const key = chance.is(0.8) ? (chance.one(Object.keys(extFields)) ?? fieldName(chance)) : fieldName(chance)
    const kind = chance.int(8)
    if (kind <= 2) extFields[key] = oddText(chance)
    else if (kind === 3) delete extFields[key]
    else if (kind === 4) extFields[fieldName(chance)] = extFields[key] ?? ''
    else if (kind === 5) body = mutateBody(body, chance)
    else if (kind === 6) version = chance.one([0, 1, -1, 455, 513, 32_767])
    else if (chance.is(0.3)) code = chance.one(codes)
    else if (chance.is(0.5)) language = chance.one(['GO', 'CPP', 'OTHER', 'KLINGON', ''])
    else remark = oddText(chance)
  }
  return { ...request, code, extFields, body, language, version, remark }
}

export function mutateBody(body: Buffer, chance: Chance): Buffer {
  switch (chance.int(9)) {
    case 0:
      return body.subarray(0, chance.int(body.length + 1))
    case 1:
      return Buffer.concat([body, chance.bytes(1 + chance.int(64))])
    case 2:
      return chance.bytes(chance.int(2_000))
    case 3:
      return Buffer.from('['.repeat(1 + chance.int(100_000)))
    case 4:
      return Buffer.from(
        `{"${oddText(chance)}":${chance.one(['1e999', '-0', '9'.repeat(400), 'null', '"', '{1:2}', '{{}:1}'])}}`,
      )
    case 5:
      return (bomb ??= deflateSync(Buffer.alloc(bombBytes)))
    case 6:
      return mutateJson(body, chance)
    default:
      return flipped(body, chance)
  }
}

/** Puts something else in the place of one value of a text that looks like JSON. */
function mutateJson(body: Buffer, chance: Chance): Buffer {
  const text = body.toString('latin1')
  const values = [...text.matchAll(/"[^"]*"|-?\d+|true|false|null/g)]
  if (values.length === 0) return flipped(body, chance)
  const { index, 0: value } = chance.one(values)
  const odd = chance.one(['null', '{}', '[]', '-1', '9007199254740993', 'true', '""', JSON.stringify(oddText(chance))])
  return Buffer.from(text.slice(0, index) + odd + text.slice(index + value.length), 'latin1')
}

export function flipped(bytes: Buffer, chance: Chance): Buffer {
  const copy = Buffer.from(bytes)
  if (copy.length === 0) return chance.bytes(3)
  for (let left = 1 + chance.int(8); left > 0; left--) copy[chance.int(copy.length)] = chance.int(256)
  return copy
}

/** The frame of a request in either serialisation; what does not fit the binary one is JSON. */
export function frameOf(request: Command, chance: Chance): Buffer {
  if (chance.is(0.4)) {
    try {
      return encodeRocketmqCommand(request)
    } catch {
      // a key, a code or a version that it has no room for
    }
  }
  return encodeCommand(request)
}

/** The header of a send, which servers learn to know. */
function sendHeader(queue: string, name: string, more: string): string {
  const fields = `"a":"a_group","b":"TheTopic","c":"TBW102","d":"4",${queue},"f":"0","g":"1795477551555","h":"0"`
  return `{"code":310,"extFields":{${fields},"i":"UNIQ_KEY\\u0001${name}\\u0002"},"flag":0,"opaque":1${more}}`
}

/** A frame whose JSON header is anything but what a header should be. */
export function oddHeaderFrame(chance: Chance): Buffer {
  const deep = 1 + chance.int(200_000)
  const texts = [
    '',
    '{',
    'null',
    '7',
    '[]',
    '{}',
    '{"code":10}',
    '{"code":"10","opaque":"1","flag":"0"}',
    '{"code":1.5,"opaque":1}',
    '{"code":10,"opaque":1e300,"flag":1e300,"version":-1}',
    '{"code":10,"opaque":1,"extFields":[1,2]}',
    '{"code":10,"opaque":1,"extFields":{"__proto__":{"topic":1},"constructor":2}}',
    '{"code":10,"opaque":1,"extFields":{"a":9007199254740993,"b":1e400,"c":null,"d":{"e":[{}]}}}',
    `{"code":10,"opaque":1,"extFields":{"a":${'['.repeat(deep)}${']'.repeat(deep)}}}`,
    `{"code":10,"opaque":1,"extFields":{"n":9007199254740993,"a":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}}`,
    `{"code":10,"opaque":1,"extFields":{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":${at}`)}}}`,
    '{"code":10,"opaque":1,"extFields":{"a":9007199254740993,"b":[9007199254740993]}}',
    '{"code":10,"opaque":1,"extFields":{"a":9007199254740993,"__proto__":1,"__proto__":2}}',
    sendHeader('"e":"3"', 'u0001', ''),
    sendHeader('"e":3', 'AC10', ',"x":{"e":"3"}'),
    `${'['.repeat(deep)}`,
    '{"code":10,"opaque":1,"language":{},"remark":[],"serializeTypeCurrentRPC":7}',
    '\ufeff{"code":10,"opaque":1}',
    '{"code":10,"opaque":1}{"code":10,"opaque":2}',
  ]
  const header = chance.is(0.2) ? chance.bytes(chance.int(300)) : Buffer.from(chance.one(texts))
  return rawFrame(
    chance.is(0.1) ? chance.int(256) : 0,
    header.length,
    Buffer.concat([header, chance.bytes(chance.int(8))]),
  )
}

/** length | type, headerBytes | rest. */
export function rawFrame(type: number, headerBytes: number, rest: Buffer): Buffer {
  const prefix = Buffer.alloc(8)
  prefix.writeInt32BE(4 + rest.length, 0)
  prefix.writeUInt32BE(((type << 24) | (headerBytes & 0xff_ffff)) >>> 0, 4)
  return Buffer.concat([prefix, rest])
}
