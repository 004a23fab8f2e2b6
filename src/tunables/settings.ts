import { z } from 'zod'
import { OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { nearest } from '../base/nearest.ts'
import type { Properties } from './properties.ts'

/** A role's settings: each field is one key with its type, limits, default and meaning. */
export type SettingsSchema = z.ZodObject

/** What a field says about itself besides its type. */
export interface Meaning {
  unit?: string
  /** What holds when the key is not set and its default depends on the machine or on other keys. */
  standIn?: string
  /** May be changed while the process runs, by the admin requests 25 and 318. */
  live?: boolean
  /** Printed by -m. */
  important?: boolean
}

/** Gives a field its meaning; last in the chain, so that nothing wraps it away. */
export function setting<F extends z.ZodType>(field: F, description: string, meaning: Meaning = {}): F {
  return field.meta({ description, ...meaning })
}

export function meaningOf(field: z.ZodType): Meaning & { description: string } {
  return { description: '', ...(field.meta() as Meaning | undefined) }
}

/** Keys that are neither read by this release nor mistakes: Apache RocketMQ has them. */
export type InertKeys = ReadonlySet<string>

/**
 * Turns properties into typed settings. A key that Apache knows and we do not read, and a key that nobody knows, are
 * said in the log, the latter with the nearest key: Apache drops both without a word.
 * @throws OperatingError SETTING_INVALID: key, value, from (`broker.conf:12`) and what fits
 */
export function settingsOf<S extends SettingsSchema>(
  schema: S,
  properties: Properties,
  inert: InertKeys,
  log: Log,
): z.infer<S> {
  const values: Record<string, unknown> = {}
  for (const [key, { value, from }] of properties) {
    if (Object.hasOwn(schema.shape, key)) values[key] = parseSetting(schema, key, value, from)
    else if (inert.has(key)) log.warn({ setting: key, from }, 'this setting has no effect in this release')
    else {
      const meant = nearest(key, [...Object.keys(schema.shape), ...inert])
      log.warn({ setting: key, from, nearest: meant }, 'unknown setting is ignored')
    }
  }
  return schema.parse(values) as z.infer<S>
}

/** The typed value of one key. @throws OperatingError SETTING_INVALID */
export function parseSetting(schema: SettingsSchema, key: string, text: string, from: string): unknown {
  const field = schema.shape[key] as z.ZodType
  const parsed = field.safeParse(typed(plain(field), text.trim()))
  if (parsed.success) return parsed.data
  throw new OperatingError('SETTING_INVALID', { key, value: text, from, fits: fitsOf(field) })
}

/** How a value is written in a properties file. */
export function textOf(value: unknown): string {
  return value === undefined ? '' : String(value)
}

/** What a field accepts, in words. */
export function fitsOf(field: z.ZodType): string {
  const { fits, type, minimum, maximum, enum: values } = z.toJSONSchema(plain(field)) as Record<string, unknown>
  if (typeof fits === 'string') return fits // patterns are no words
  if (Array.isArray(values)) return values.join(' or ')
  if (type === 'boolean') return 'true or false'
  if (type === 'string') return 'a text'
  if (minimum === maximum) return String(minimum)
  return `${type === 'integer' ? 'a whole number' : 'a number'} from ${minimum} to ${maximum}`
}

/** The field without its default and without `optional`. */
export function plain(field: z.ZodType): z.ZodType {
  if (field instanceof z.ZodDefault || field instanceof z.ZodOptional) return plain(field.unwrap() as z.ZodType)
  return field
}

/** Text as the type that the field wants; text that is no such value stays text, for the field to refuse. */
function typed(field: z.ZodType, text: string): unknown {
  if (field instanceof z.ZodNumber) return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
  if (field instanceof z.ZodBoolean) return { true: true, false: false }[text.toLowerCase()] ?? text
  return text
}
