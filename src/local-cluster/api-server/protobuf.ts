import { type JsonObject, type KubeObject, refusal } from './object.ts'

/**
 * Reads the few kinds that kubectl writes as protobuf whatever the server would like better (`kubectl create namespace`,
 * `configmap`, `secret`, `serviceaccount`). All else comes as JSON.
 * Source: k8s.io/apimachinery runtime.Unknown and the generated.proto of k8s.io/api/core/v1.
 */
interface Field {
  name: string
  type: 'text' | 'base64' | 'textMap' | 'base64Map' | 'boolean' | Message
}
interface Message {
  [number: number]: Field
}

const objectMeta: Message = {
  1: { name: 'name', type: 'text' },
  2: { name: 'generateName', type: 'text' },
  3: { name: 'namespace', type: 'text' },
  11: { name: 'labels', type: 'textMap' },
  12: { name: 'annotations', type: 'textMap' },
}
const metadata: Field = { name: 'metadata', type: objectMeta }
const kinds: Record<string, Message> = {
  Namespace: { 1: metadata },
  ServiceAccount: { 1: metadata },
  ConfigMap: {
    1: metadata,
    2: { name: 'data', type: 'textMap' },
    3: { name: 'binaryData', type: 'base64Map' },
    4: { name: 'immutable', type: 'boolean' },
  },
  Secret: {
    1: metadata,
    2: { name: 'data', type: 'base64Map' },
    3: { name: 'type', type: 'text' },
    4: { name: 'stringData', type: 'textMap' },
    5: { name: 'immutable', type: 'boolean' },
  },
}
const typeMeta: Message = { 1: { name: 'apiVersion', type: 'text' }, 2: { name: 'kind', type: 'text' } }
const magic = Buffer.from('k8s\0', 'latin1')

/** @throws KUBE_REFUSED 415 for another kind, 400 for bytes that do not parse */
export function readProtobuf(bytes: Buffer): KubeObject {
  if (!bytes.subarray(0, magic.length).equals(magic)) throw malformed()
  let type: JsonObject = {}
  let raw: Buffer = Buffer.alloc(0)
  for (const { number, content } of entriesOf(bytes.subarray(magic.length))) {
    if (number === 1 && content !== undefined) type = readMessage(content, typeMeta)
    if (number === 2 && content !== undefined) raw = content
  }
  const message = type.apiVersion === 'v1' ? kinds[String(type.kind)] : undefined
  if (message === undefined)
    throw refusal(415, 'UnsupportedMediaType', `this API server reads ${type.kind} as JSON or YAML only`)
  return { ...type, ...readMessage(raw, message) } as KubeObject
}

function malformed(): Error {
  return refusal(400, 'BadRequest', 'the object provided is no protobuf of a known kind')
}

function readMessage(bytes: Buffer, message: Message): JsonObject {
  const object: JsonObject = {}
  for (const { number, content, scalar } of entriesOf(bytes)) {
    const field = message[number]
    if (field === undefined) continue // empty status and the like
    const { name, type } = field
    if (type === 'boolean') object[name] = scalar === 1
    else if (content === undefined) throw malformed()
    else if (type === 'text') {
      if (content.length > 0) object[name] = content.toString('utf8')
    } else if (type === 'base64') object[name] = content.toString('base64')
    else if (type === 'textMap' || type === 'base64Map') {
      const entry = readMessage(content, {
        1: { name: 'key', type: 'text' },
        2: { name: 'value', type: type === 'textMap' ? 'text' : 'base64' },
      })
      object[name] = { ...(object[name] as JsonObject), [String(entry.key ?? '')]: entry.value ?? '' }
    } else object[name] = readMessage(content, type)
  }
  return object
}

function* entriesOf(bytes: Buffer): Generator<{ number: number; content?: Buffer; scalar?: number }> {
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; at < bytes.length; factor *= 128) {
      const byte = bytes[at++] as number
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    throw malformed()
  }
  while (at < bytes.length) {
    const key = varint()
    const number = Math.floor(key / 8)
    const wireType = key % 8
    if (wireType === 0) yield { number, scalar: varint() }
    else if (wireType === 2) {
      const length = varint()
      if (at + length > bytes.length) throw malformed()
      yield { number, content: bytes.subarray(at, at + length) }
      at += length
    } else throw malformed()
  }
}
