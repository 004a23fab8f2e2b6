import {
  type BrokerSettings,
  brokerSchema,
  type DiskLimits,
  diskLimitsOf,
  type InertKeys,
  meaningOf,
  namesrvSchema,
  otherBrokerKeys,
  otherNamesrvKeys,
  type SettingsSchema,
  textOf,
  whyIgnored,
} from '../tunables/index.ts'

/** What the pods of a kind with spec.config read, and what of Apache's keys they do not. */
const readBy = {
  BrokerSet: { schema: brokerSchema, inert: otherBrokerKeys },
  NameServer: { schema: namesrvSchema, inert: otherNamesrvKeys },
} as const satisfies Record<string, { schema: SettingsSchema; inert: InertKeys }>
type Configured = keyof typeof readBy

const ignoredNamedMax = 5

/** Live settings that mean more than a value; the operator sees to them where it sees to what they mean. */
const elsewhere = ['namesrvAddr', 'registrationHeld', 'inSyncReplicas']

/** Settings that a running broker takes at request. */
export const liveBrokerKeys: readonly string[] = Object.entries(brokerSchema.shape)
  .filter(([key, field]) => meaningOf(field).live && !elsewhere.includes(key))
  .map(([key]) => key)

/** The live settings of a broker with this configuration, defaults too, spelled as a broker says them. */
export function liveBrokerSettings(configuration: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    liveBrokerKeys.map((key) => {
      const field = fieldOf(key)
      const given = configuration[key]
      return [key, given === undefined ? textOf(field?.preset) : textOf(field?.read(given.trim()) ?? given)]
    }),
  )
}

/** What brokers with this configuration keep messages by: how long, and how full their volumes may be. */
export interface Retention {
  /** Messages older than that may go. */
  hours: number
  limits: DiskLimits
  /** Whether messages go before that when the volume is full. */
  isOldestRemoved: boolean
}

export function retentionOf(configuration: Readonly<Record<string, string>>): Retention {
  const of = <K extends keyof BrokerSettings & keyof typeof brokerSchema.shape>(key: K): BrokerSettings[K] => {
    const field = brokerSchema.shape[key]
    return (field.read((configuration[key] ?? '').trim()) ?? field.preset) as BrokerSettings[K]
  }
  return {
    hours: of('fileReservedTime'),
    limits: diskLimitsOf({
      diskMaxUsedSpaceRatio: of('diskMaxUsedSpaceRatio'),
      diskSpaceCleanForciblyRatio: of('diskSpaceCleanForciblyRatio'),
      diskSpaceWarningLevelRatio: of('diskSpaceWarningLevelRatio'),
    }),
    isOldestRemoved: of('cleanFileForciblyEnable'),
  }
}

/** A setting whose value the pods would not start with, and what fits; undefined: there is none, as far as this version knows. */
export function misfitOf(kind: Configured, configuration: Readonly<Record<string, string>>): string | undefined {
  const { shape }: SettingsSchema = readBy[kind].schema
  for (const [key, text] of Object.entries(configuration)) {
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined
    // text is what somebody wrote: also of resources that nobody has parsed yet
    if (field && field.read(String(text).trim()) === undefined)
      return `${key}: ${text} does not fit; ${field.fits()} does`
  }
  return undefined
}

/** The settings that the pods do not read, each with why and what was meant; undefined: they read all of them. */
export function ignoredOf(kind: Configured, configuration: Readonly<Record<string, string>>): string | undefined {
  const { schema, inert } = readBy[kind]
  const keys = Object.keys(configuration).filter((key) => !Object.hasOwn(schema.shape, key))
  if (keys.length === 0) return undefined
  const told = keys.sort().slice(0, ignoredNamedMax) // to look for the nearest of many keys takes its time
  const texts = told.map((key) => {
    const why = whyIgnored(schema, inert, key)
    if (why?.is !== 'unknown') return `${key} has no effect in this version`
    return `${key} is unknown${why.nearest === undefined ? '' : `, did you mean ${why.nearest}?`}`
  })
  const more = keys.length > told.length ? `; and ${keys.length - told.length} more` : ''
  return `${texts.join('; ')}${more}`
}

function fieldOf(key: string) {
  return Object.hasOwn(brokerSchema.shape, key) ? brokerSchema.shape[key as 'brokerName'] : undefined
}
