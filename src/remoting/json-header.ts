import { OperatingError } from '../base/errors.ts'
import type { Command } from './command.ts'
import { readJson, writeJson } from './json.ts'

/** Reads a header in JSON. @throws OperatingError FRAME_INVALID */
export function decodeJsonHeader(header: string, body: Buffer): Command {
  let fields: unknown
  try {
    fields = JSON.parse(header)
  } catch (cause) {
    throw new OperatingError('FRAME_INVALID', { what: 'header is no JSON' }, cause)
  }
  if (typeof fields !== 'object' || fields === null)
    throw new OperatingError('FRAME_INVALID', { what: 'header is no object' })
  const { code, language, version, opaque, flag, remark, extFields } = fields as Record<string, unknown>
  return {
    code: integer('code', code),
    language: typeof language === 'string' ? language : 'OTHER',
    version: integer('version', version),
    opaque: integer('opaque', opaque),
    flag: integer('flag', flag),
    remark: typeof remark === 'string' ? remark : undefined,
    extFields: textsOf(extFields, header),
    body,
  }
}

/** As Apache's broker reads it: what is absent is 0, as peers leave it out; a fraction is cut off, a text is a decimal number. */
function integer(field: string, value: unknown): number {
  if (value === undefined || value === null || value === '') return 0
  const isText = typeof value === 'string' && decimalPattern.test(value)
  const read = typeof value === 'number' || isText ? Math.trunc(Number(value)) : Number.NaN
  if ((read | 0) !== read) throw new OperatingError('FRAME_INVALID', { field, what: 'no int32' })
  return read | 0 // -0 is 0
}

const decimalPattern = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** The C++ client sends some values as numbers. */
function textsOf(extFields: unknown, header: string): Record<string, string> {
  if (typeof extFields !== 'object' || extFields === null) return {}
  const texts = extFields as Record<string, unknown>
  for (const key in texts) {
    const value = texts[key]
    if (typeof value === 'string') continue
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return exactTextsOf(header)
    if (value === null) delete texts[key]
    else texts[key] = textOf(value)
  }
  return texts as Record<string, string>
}

/** Reads the header once more, with all digits of its numbers. */
function exactTextsOf(header: string): Record<string, string> {
  const { extFields } = readJson(header) as { extFields: Record<string, unknown> }
  return Object.fromEntries(
    Object.entries(extFields)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, typeof value === 'string' ? value : textOf(value)]),
  )
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? writeJson(value) : String(value)
}

/** Writes a header in JSON; extFieldsJson is an object's JSON text. */
export function jsonHeader(
  { code, flag, opaque, language, version, remark }: Omit<Command, 'extFields' | 'body'>,
  extFieldsJson: string | undefined,
): string {
  const ext = extFieldsJson === undefined ? '' : `"extFields":${extFieldsJson},`
  const why = remark === undefined ? '' : `"remark":${JSON.stringify(remark)},`
  return `{"code":${code},${ext}"flag":${flag},"language":${JSON.stringify(language)},"opaque":${opaque},${why}"serializeTypeCurrentRPC":"JSON","version":${version}}`
}
