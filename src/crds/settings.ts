import { brokerSchema, meaningOf, namesrvSchema, type SettingsSchema, textOf } from '../tunables/index.ts'

/** What the pods of a kind with spec.config read. */
const readBy = { BrokerSet: brokerSchema, NameServer: namesrvSchema } as const satisfies Record<string, SettingsSchema>
type Configured = keyof typeof readBy

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

/** A setting whose value the pods would not start with, and what fits; undefined: there is none, as far as this version knows. */
export function misfitOf(kind: Configured, configuration: Readonly<Record<string, string>>): string | undefined {
  const { shape }: SettingsSchema = readBy[kind]
  for (const [key, text] of Object.entries(configuration)) {
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined
    // text is what somebody wrote: also of resources that nobody has parsed yet
    if (field && field.read(String(text).trim()) === undefined)
      return `${key}: ${text} does not fit; ${field.fits()} does`
  }
  return undefined
}

function fieldOf(key: string) {
  return Object.hasOwn(brokerSchema.shape, key) ? brokerSchema.shape[key as 'brokerName'] : undefined
}
