import { expect, test } from '@jest/globals'
import { readProtobuf } from './protobuf.ts'

/** A length-delimited field. */
function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as string)
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), bytes])
}

function wrapped(kind: string, raw: Buffer): Buffer {
  const type = Buffer.concat([field(1, 'v1'), field(2, kind)])
  return Buffer.concat([Buffer.from('k8s\0', 'latin1'), field(1, type), field(2, raw)])
}

test('a Secret as kubectl creates it is read', () => {
  const meta = Buffer.concat([field(1, 'x'), field(3, ''), field(11, Buffer.concat([field(1, 'app'), field(2, 'y')]))])
  const data = Buffer.concat([field(1, 'key'), field(2, 'v'.repeat(200))])
  const secret = readProtobuf(wrapped('Secret', Buffer.concat([field(1, meta), field(2, data), field(3, 'Opaque')])))

  expect(secret).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'x', labels: { app: 'y' } },
    data: { key: Buffer.from('v'.repeat(200)).toString('base64') },
    type: 'Opaque',
  })
})

test('another kind and bytes cut short are refused', () => {
  expect(() => readProtobuf(wrapped('Pod', Buffer.alloc(0)))).toThrow('reads Pod as JSON')
  const whole = wrapped('Namespace', field(1, field(1, 'n')))
  for (let length = 0; length < whole.length; length++) {
    const read = () => readProtobuf(whole.subarray(0, length)).metadata.name // no half of it makes a whole object
    expect(read).toThrow()
  }
})
