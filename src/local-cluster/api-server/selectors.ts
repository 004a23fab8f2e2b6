import { type KubeObject, refusal, valueAt } from './object.ts'
import type { Resource } from './resource.ts'

export type Matches = (object: KubeObject) => boolean

/** Splits at commas outside of parentheses: `a in (b,c),d` has two parts. */
function requirementsOf(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** @throws KUBE_REFUSED 400 for text that is no label selector */
export function parseLabelSelector(selector: string): Matches {
  const tests = requirementsOf(selector).map((part): ((labels: Record<string, string>) => boolean) => {
    const set = /^([^\s!=]+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(part)
    if (set !== null) {
      const [, key = '', operator, list = ''] = set
      const values = list.split(',').map((value) => value.trim())
      return (labels) => values.includes(labels[key] ?? '\0') === (operator === 'in')
    }
    const equality = /^([^\s!=]+)\s*(==|=|!=)\s*(\S*)$/.exec(part)
    if (equality !== null) {
      const [, key = '', operator, value = ''] = equality
      return (labels) => (labels[key] === value) === (operator !== '!=')
    }
    const existence = /^(!?)\s*([^\s!=()]+)$/.exec(part)
    if (existence === null) throw refusal(400, 'BadRequest', `unable to parse requirement: ${part}`)
    const [, not, key = ''] = existence
    return (labels) => Object.hasOwn(labels, key) === (not === '')
  })
  return (object) => tests.every((passes) => passes(object.metadata.labels ?? {}))
}

const involved = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']
const eventFields = [
  ...involved.map((field) => `involvedObject.${field}`),
  ...involved.map((field) => `regarding.${field}`),
  ...['reason', 'reportingComponent', 'reportingController', 'source', 'type'],
]

/** What may be selected by, beside metadata.name and metadata.namespace; by collection. */
const selectableFields: Record<string, readonly string[]> = {
  '/events': eventFields,
  '/namespaces': ['status.phase'],
  '/nodes': ['spec.unschedulable'],
  '/pods': [
    ...['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName', 'spec.hostNetwork'],
    ...['status.phase', 'status.podIP', 'status.podIPs', 'status.nominatedNodeName'],
  ],
  '/secrets': ['type'],
  '/services': ['spec.clusterIP', 'spec.type'],
}

/** A missing field counts as ''. @throws KUBE_REFUSED 400 for text that is no selector, or a field that is not selectable */
export function parseFieldSelector(selector: string, { collection, namespaced }: Resource): Matches {
  const selectable = [
    'metadata.name',
    ...(namespaced ? ['metadata.namespace'] : []),
    ...(selectableFields[collection] ?? []),
  ]
  const tests = requirementsOf(selector).map((part): Matches => {
    const equality = /^([^!=]+)(==|=|!=)(.*)$/.exec(part)
    if (equality === null) throw refusal(400, 'BadRequest', `invalid field selector: ${part}`)
    const [, path = '', operator, value] = equality
    if (!selectable.includes(path)) throw refusal(400, 'BadRequest', `field label not supported: ${path}`)
    return (object) => (String(valueAt(object, path.split('.')) ?? '') === value) === (operator !== '!=')
  })
  return (object) => tests.every((passes) => passes(object))
}
