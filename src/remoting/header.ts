import { OperatingError } from '../base/errors.ts'

/** One field of a header: how its text becomes a value and back. */
export interface Field<T, Kind extends FieldKind = 'required'> {
  readonly type: FieldType
  readonly kind: Kind
  /** The key on the wire; undefined: the field's own name. */
  readonly wireName: string | undefined
  /** The value of a missing field of kind 'default'. */
  readonly fallback: T | undefined
  /** @returns undefined when the text is no such value */
  parse(received: string): T | undefined
  format(value: T): string
}
type FieldType = 'text' | 'int32' | 'int64' | 'wideInt64' | 'bool'
type FieldKind = 'required' | 'optional' | 'default'
// biome-ignore lint/suspicious/noExplicitAny: a table mixes fields of all value types
type AnyField = Field<any, FieldKind>
type ValueOf<F> = F extends Field<infer T, FieldKind> ? T : never
type Table = Record<string, AnyField>
type KeysOfKind<T extends Table, Kind extends FieldKind> = {
  [K in keyof T]: T[K]['kind'] extends Kind ? K : never
}[keyof T]

type Decoded<T extends Table> = { [K in KeysOfKind<T, 'required' | 'default'>]: ValueOf<T[K]> } & {
  [K in KeysOfKind<T, 'optional'>]?: ValueOf<T[K]> | undefined
}
type Encodable<T extends Table> = { [K in KeysOfKind<T, 'required'>]: ValueOf<T[K]> } & {
  [K in KeysOfKind<T, 'optional' | 'default'>]?: ValueOf<T[K]> | undefined
}

export interface HeaderCodec<T extends Table> {
  readonly name: string
  readonly fields: T
  /** @throws OperatingError HEADER_INVALID: a required field is missing, or a text is no value of its field */
  decode(extFields: Readonly<Record<string, string>>): Decoded<T>
  encode(header: Encodable<T>): Record<string, string>
}

/** The header that a codec reads. */
// biome-ignore lint/suspicious/noExplicitAny: any codec
export type HeaderOf<C extends HeaderCodec<any>> = C extends HeaderCodec<infer T> ? Flat<Decoded<T>> : never
type Flat<T> = { [K in keyof T]: T[K] }

function field<T>(type: FieldType, parse: (received: string) => T | undefined, format: (value: T) => string): Field<T> {
  return { type, kind: 'required', wireName: undefined, fallback: undefined, parse, format }
}

export const text: Field<string> = field<string>(
  'text',
  (received) => received,
  (value) => value,
)
export const int32: Field<number> = field<number>('int32', parseInt32, String)
/** A Java long that must stay below 2^53 in magnitude: offsets, times and counts do. */
export const int64: Field<number> = field<number>('int64', parseInteger, String)
/** A Java long of any size, a bigint from 2^53 on (the Go client counts subVersion in nanoseconds). */
export const wideInt64: Field<number | bigint> = field<number | bigint>(
  'wideInt64',
  (received) => {
    const value = parseInteger(received)
    if (value !== undefined || !/^[+-]?\d{16,19}$/.test(received)) return value
    const wide = BigInt(received.startsWith('+') ? received.slice(1) : received)
    return BigInt.asIntN(64, wide) === wide ? wide : undefined
  },
  String,
)
/** As Boolean.parseBoolean reads it: whatever is not the word true, in any case, is false. */
export const bool: Field<boolean> = field<boolean>(
  'bool',
  (received) => received === 'true' || received.toLowerCase() === 'true',
  String,
)

export function optional<T>(of: Field<T>): Field<T, 'optional'> {
  return { ...of, kind: 'optional' }
}

/** A field that peers leave out when it has this value. */
export function withDefault<T>(of: Field<T>, fallback: T): Field<T, 'default'> {
  return { ...of, kind: 'default', fallback }
}

/** Gives a field another key on the wire than it has in the table. */
export function named<T, Kind extends FieldKind>(wireName: string, of: Field<T, Kind>): Field<T, Kind> {
  return { ...of, wireName }
}

interface Row {
  key: string
  wireName: string
  field: AnyField
}

/** A header is a table of fields; the table is its type. Unknown extFields are ignored, absent ones are undefined. */
export function headerCodec<const T extends Table>(name: string, table: T): HeaderCodec<T> {
  const rows: readonly Row[] = Object.entries(table).map(([key, field]) => ({
    key,
    wireName: field.wireName ?? key,
    field,
  }))
  return {
    name,
    fields: table,
    decode: (extFields) => decodeFields(name, rows, extFields) as Decoded<T>,
    encode: (header) => encodeFields(rows, header as Record<string, unknown>),
  }
}

// Every key is set, also to undefined: headers of one table then have one shape, which keeps their readers fast.
function decodeFields(name: string, rows: readonly Row[], extFields: Readonly<Record<string, string>>): unknown {
  const header: Record<string, unknown> = {}
  for (const { key, wireName, field } of rows) {
    const received = extFields[wireName]
    const value = received === undefined ? field.fallback : field.parse(received)
    if (value === undefined && (received !== undefined || field.kind === 'required')) {
      throw new OperatingError('HEADER_INVALID', { header: name, field: key, received: received?.slice(0, 100) })
    }
    header[key] = value
  }
  return header
}

function encodeFields(rows: readonly Row[], header: Record<string, unknown>): Record<string, string> {
  const extFields: Record<string, string> = {}
  for (const { key, wireName, field } of rows) {
    const value = header[key]
    if (value !== undefined) extFields[wireName] = field.format(value)
  }
  return extFields
}

/** As parseInteger; undefined also beyond 32 bits. */
export function parseInt32(received: string): number | undefined {
  const value = parseInteger(received)
  return value !== undefined && value >= -0x8000_0000 && value <= 0x7fff_ffff ? value : undefined
}

/** Reads a decimal integer as Java does (sign allowed, nothing around it). @returns undefined for all else and from 2^53 on */
export function parseInteger(received: string): number | undefined {
  const first = received.charCodeAt(0)
  const start = first === 0x2d || first === 0x2b ? 1 : 0 // - or +
  if (received.length === start || received.length > start + 19) return undefined
  let value = 0
  for (let at = start; at < received.length; at++) {
    const digit = received.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  if (value > Number.MAX_SAFE_INTEGER) return undefined
  return first === 0x2d && value !== 0 ? -value : value
}
