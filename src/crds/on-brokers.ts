import { z } from 'zod'
import type { Definition } from './definition.ts'
import { type CelRule, reference, rules } from './fields.ts'

// Fields and rules of resources for something that every broker of a BrokerSet is to have under one name.

/** @param whose what the brokers have, as in "The brokers that have the topic: all groups" */
export function brokerSetRef(whose: string) {
  // compared as a whole: the API server counts a rule over its fields as too dear
  const rule = {
    rule: 'self == oldSelf',
    message: 'brokerSetRef cannot be changed, neither its name nor its namespace',
  }
  return reference('BrokerSet', `The brokers that have ${whose}, those added later too. Cannot be changed.`).meta(
    rules(rule),
  )
}

/**
 * The name that clients use, where it is not the resource's. No name of a resource is reserved: those have capital letters, _ or %.
 * @param isReserved CEL over self: whether RocketMQ keeps the name for itself
 * @param reserved those names, for people
 */
export function nameOnBrokers(bytesMax: number, isReserved: string, reserved: readonly string[]) {
  return z
    .string()
    .max(bytesMax)
    .regex(/^[%|a-zA-Z0-9_-]+$/)
    .describe("Name that clients use. Default: the resource's name. Cannot be changed.")
    .meta(rules({ rule: `!(${isReserved})`, message: `RocketMQ keeps these for itself: ${reserved.join(', ')}` }))
    .optional()
}

/** As a list of CEL. */
export function celList(texts: readonly string[]): string {
  return `[${texts.map((text) => `'${text}'`).join(', ')}]`
}

export function deletionPolicy(describes: string) {
  return z.enum(['Retain', 'Delete']).default('Retain').describe(describes)
}

/** @param thing as in "a topic that is there already" */
export function policies(thing: string) {
  return {
    adoptionPolicy: z
      .enum(['IfIdentical', 'Always', 'Never'])
      .default('IfIdentical')
      .describe(
        `Whether a ${thing} that is there already becomes this resource's. IfIdentical: only if it is as the spec says. ` +
          'Always: it is changed to that. Otherwise nothing is done, and Ready says AdoptionConflict. A resource that was ' +
          'there before its brokers owns it from the start.',
      ),
    driftPolicy: z
      .enum(['Correct', 'Report'])
      .default('Correct')
      .describe(
        'What becomes of changes by hand. Correct: they are changed back. Report: they stay until the spec changes, and ' +
          'Ready says Drifted; what is missing is made in any case.',
      ),
  }
}

/** The name is what it was when the resource was made. */
export function fixedName(nameField: string): CelRule {
  const given = (self: string) => `(has(${self}.${nameField}) ? ${self}.${nameField} : '')`
  return { rule: `${given('self')} == ${given('oldSelf')}`, message: `${nameField} cannot be changed` }
}

/**
 * Where the resource's name is the one on brokers it must be one there, too; a name that is given has the rules of its field. The API
 * server looks at this rule with each write, those of a status too: it searches no text that cannot be wrong.
 */
export function fitsAsName(nameField: string, bytesMax: number): string {
  return `has(self.spec.${nameField}) || (size(self.metadata.name) <= ${bytesMax} && !self.metadata.name.contains('.'))`
}

export function statusOnBrokers(thing: string) {
  return {
    owner: z
      .string()
      .max(128)
      .describe(`uid of the resource whose ${thing} it is: this one, or the older one that speaks for it.`)
      .optional(),
    syncedGeneration: z
      .int()
      .describe('Generation of the spec that all brokers had last.')
      .meta({ format: 'int64' })
      .optional(),
    brokers: z
      .object({
        desired: z.int32().describe(`Brokers that should have the ${thing}.`),
        synced: z.int32().describe('Brokers that have it as wanted.'),
      })
      .describe(`Where the ${thing} is.`)
      .optional(),
    failing: z
      .array(
        z.object({
          broker: z.string().max(261).describe('The brokerName.'),
          reason: z.string().max(1024).describe('What the broker said.'),
        }),
      )
      .max(8)
      .describe(`Brokers where the ${thing} could not be made.`)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['broker'] })
      .optional(),
  }
}

export const brokerSetColumn: Definition['columns'][number] = {
  name: 'BrokerSet',
  type: 'string',
  jsonPath: '.spec.brokerSetRef.name',
  describes: 'Brokers that have it',
}

export const readyColumns: Definition['columns'] = [
  {
    name: 'Ready',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="Ready")].status',
    describes: 'Whether every broker has it',
  },
  {
    name: 'Reason',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
    wide: true,
    describes: 'Why it is ready or not',
  },
]

export const ageColumn: Definition['columns'][number] = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  describes: 'Time since creation',
}
