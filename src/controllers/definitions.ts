import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { customResourceDefinition, type Definition, version } from '../crds/index.ts'
import {
  customResourceDefinitions,
  type EventRecorder,
  isRefused,
  type KubeClient,
  type KubeObject,
  type Resource,
} from '../kube/index.ts'

/** A schema of OpenAPI, as far as it says which fields there are. */
interface Schema {
  type?: string
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: boolean | Schema
  enum?: unknown[]
  'x-kubernetes-preserve-unknown-fields'?: boolean
}

interface ServedSpec {
  versions?: { name: string; schema?: { openAPIV3Schema?: Schema } }[]
}

const namedMax = 5
const remedy =
  "apply this version's deploy/crds, or upgrade the release that has the definitions with crds.install=true, and restart the operator"

/**
 * Says, once for each definition, what the API server's lack of ours: it drops such fields from every status that is written, and
 * tells nobody. Never throws: an operator that may not read definitions works as well.
 * @param about what the events are about, the operator's own pod; undefined: it is in none, and the log alone tells
 */
export async function sayOutdated(
  definitions: readonly Definition[],
  client: KubeClient,
  recorder: EventRecorder,
  about: KubeObject | undefined,
  log: Log,
): Promise<void> {
  for (const definition of definitions) {
    const ours = customResourceDefinition(definition)
    const { name } = ours.metadata
    const served = await read(name, client)
    if ('trouble' in served) {
      log.warn({ name, why: served.trouble }, 'whether the definition is as new as this operator is not known')
      continue
    }
    const lacking = missingFields(ours.spec, served.spec)
    if (lacking.length === 0) continue
    const more = lacking.length > namedMax ? ` and ${lacking.length - namedMax} more` : ''
    const fields = `${lacking.slice(0, namedMax).join(', ')}${more}`
    log.error({ name, fields, remedy }, 'a definition is older than this operator: what is written there is lost')
    const message = `${name} is older than this operator; what is written to ${fields} is lost: ${remedy}`
    if (about) recorder.record(about, { type: 'Warning', reason: 'CRDOutdated', message })
  }
}

async function read(name: string, client: KubeClient): Promise<{ spec: ServedSpec } | { trouble: string }> {
  try {
    const crd = await client.get<Resource<ServedSpec, unknown>>(customResourceDefinitions, '', name)
    return crd ? { spec: crd.spec } : { trouble: 'it is not there' }
  } catch (error) {
    return { trouble: isRefused(error, 403) ? 'this operator may not read it' : messageOf(error) }
  }
}

/** Fields, and values of those that have a choice, that one definition has and the other one lacks; of what lacks all, the top alone. */
export function missingFields(ours: ServedSpec, served: ServedSpec): string[] {
  const lacking = lacks(schemaOf(ours), schemaOf(served), '')
  // a field of the spec that is not known is refused when somebody sets it; one of the status goes without a word
  return [
    ...lacking.filter((path) => path.startsWith('status')),
    ...lacking.filter((path) => !path.startsWith('status')),
  ]
}

function schemaOf({ versions = [] }: ServedSpec): Schema {
  const { spec, status } = versions.find(({ name }) => name === version)?.schema?.openAPIV3Schema?.properties ?? {}
  return { properties: { ...(status && { status }), ...(spec && { spec }) } }
}

function lacks(ours: Schema, served: Schema, path: string): string[] {
  if (served['x-kubernetes-preserve-unknown-fields'] === true) return []
  const fields = Object.entries(ours.properties ?? {}).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`
    const there = served.properties?.[name]
    return there === undefined ? [at] : lacks(field, there, at)
  })
  const items = ours.items === undefined ? [] : lacks(ours.items, served.items ?? {}, `${path}[]`)
  const { additionalProperties: values } = ours
  const { additionalProperties: servedValues } = served
  const inMap =
    typeof values === 'object' && typeof servedValues === 'object' ? lacks(values, servedValues, `${path}.*`) : []
  const allowed = served.enum
  const choices = allowed === undefined ? [] : (ours.enum ?? []).filter((value) => !allowed.includes(value))
  return [...fields, ...items, ...inMap, ...choices.map((value) => `${path}: ${value}`)]
}
