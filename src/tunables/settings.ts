import { OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { nearest } from '../base/nearest.ts'
import type { Properties } from './properties.ts'
import type { Facts, Schema, Value, infer as ValuesOf } from './values.ts'

/** A role's settings: each field is one key with its type, limits, default and meaning. */
export type SettingsSchema = Schema

/** What a field says about itself besides its type. */
export interface Meaning {
  unit?: string
  /** What holds when the key is not set and its default depends on the machine or on other keys. */
  standIn?: string
  /** May be changed while the process runs, by the admin requests 25 and 318. */
  live?: boolean
  /** Printed by -m. */
  important?: boolean
  /** Never printed, logged or sent. */
  secret?: boolean
}

/** Gives a field its meaning. */
export function setting<T>(field: Value<T>, description: string, meaning: Meaning = {}): Value<T> {
  return field.meta({ description, ...meaning })
}

export function meaningOf(field: Value<unknown>): Facts & { description: string } {
  return { description: '', ...field.facts }
}

/** Keys that are neither read by this release nor mistakes: Apache RocketMQ has them. */
export type InertKeys = ReadonlySet<string>

/** Why a key has no effect: Apache has it and we do not read it; or nobody has it, and which known one is nearest. */
type Ignored = { is: 'inert' } | { is: 'unknown'; nearest: string | undefined }

/** @returns undefined: the key is read */
export function whyIgnored({ shape }: SettingsSchema, inert: InertKeys, key: string): Ignored | undefined {
  if (Object.hasOwn(shape, key)) return undefined
  if (inert.has(key)) return { is: 'inert' }
  return { is: 'unknown', nearest: nearest(key, [...Object.keys(shape), ...inert]) }
}

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
): ValuesOf<S> {
  const values: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(schema.shape)) values[key] = field.preset
  for (const [key, { value, from }] of properties) {
    const ignored = whyIgnored(schema, inert, key)
    if (ignored === undefined) values[key] = parseSetting(schema, key, value, from)
    else if (ignored.is === 'inert') log.warn({ setting: key, from }, 'this setting has no effect in this release')
    else log.warn({ setting: key, from, nearest: ignored.nearest }, 'unknown setting is ignored')
  }
  return values as ValuesOf<S>
}

/** The typed value of one key. @throws OperatingError SETTING_INVALID */
export function parseSetting(schema: SettingsSchema, key: string, text: string, from: string): unknown {
  const field = schema.shape[key]!
  const value = field.read(text.trim())
  if (value !== undefined) return value
  throw new OperatingError('SETTING_INVALID', { key, value: text, from, fits: field.fits() })
}

/** How a value is written in a properties file. */
export function textOf(value: unknown): string {
  return value === undefined ? '' : String(value)
}
