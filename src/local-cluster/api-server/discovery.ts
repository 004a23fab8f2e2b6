import type { Catalog } from './catalog.ts'
import { groupVersionOf, type Resource } from './resource.ts'

const readWrite = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const readWriteOne = ['get', 'patch', 'update']

interface Subresource {
  name: string
  kind: { group: string; version: string; kind: string }
  verbs: string[]
}

function subresourcesOf(resource: Resource): Subresource[] {
  const { group, version, kind, hasStatus, scale, collection } = resource
  const found: Subresource[] = []
  if (hasStatus) found.push({ name: 'status', kind: { group, version, kind }, verbs: readWriteOne })
  if (scale !== undefined)
    found.push({ name: 'scale', kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' }, verbs: readWriteOne })
  if (collection === '/pods') found.push({ name: 'log', kind: { group, version, kind }, verbs: ['get'] })
  return found
}

/** Groups with their versions, in the order they are listed. The core group is ''. */
function groupsOf(catalog: Catalog): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const { group, version } of catalog.all()) {
    const versions = groups.get(group) ?? []
    if (!versions.includes(version)) versions.push(version)
    groups.set(group, versions)
  }
  return groups
}

function resourcesOf(catalog: Catalog, group: string, version: string): Resource[] {
  return catalog.all().filter((resource) => resource.group === group && resource.version === version)
}

/** /api or /apis in one document, as apidiscovery.k8s.io/v2 (or v2beta1) has it. */
export function aggregatedDiscovery(catalog: Catalog, wantCore: boolean, version: string): object {
  const items = [...groupsOf(catalog)]
    .filter(([group]) => (group === '') === wantCore)
    .map(([group, versions]) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((name) => ({
        version: name,
        freshness: 'Current',
        resources: resourcesOf(catalog, group, name).map((resource) => ({
          resource: resource.plural,
          responseKind: kindOf(resource),
          scope: resource.namespaced ? 'Namespaced' : 'Cluster',
          singularResource: resource.singular,
          verbs: readWrite,
          shortNames: resource.shortNames,
          categories: resource.categories,
          subresources: subresourcesOf(resource).map(({ name, kind, verbs }) => ({
            subresource: name,
            responseKind: kind,
            verbs,
          })),
        })),
      })),
    }))
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items }
}

function kindOf({ group, version, kind }: Resource): object {
  return { group, version, kind }
}

/** /api */
export const coreVersions = { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }

function groupDocument(group: string, versions: string[]): object {
  const entries = versions.map((version) => ({ groupVersion: groupVersionOf({ group, version }), version }))
  return { name: group, versions: entries, preferredVersion: entries[0] }
}

/** /apis */
export function groupList(catalog: Catalog): object {
  const groups = [...groupsOf(catalog)].filter(([group]) => group !== '')
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map(([group, versions]) => groupDocument(group, versions)),
  }
}

/** /apis/GROUP; undefined for a group that nobody serves. */
export function oneGroup(catalog: Catalog, group: string): object | undefined {
  const versions = groupsOf(catalog).get(group)
  return versions && { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(group, versions) }
}

/** /api/v1 and /apis/GROUP/VERSION; undefined for a version that nobody serves. */
export function resourceList(catalog: Catalog, group: string, version: string): object | undefined {
  const found = resourcesOf(catalog, group, version)
  if (found.length === 0) return undefined
  const resources = found.flatMap((resource) => {
    const { plural, singular, namespaced, kind, shortNames, categories } = resource
    return [
      { name: plural, singularName: singular, namespaced, kind, verbs: readWrite, shortNames, categories },
      ...subresourcesOf(resource).map((sub) => ({
        name: `${plural}/${sub.name}`,
        singularName: '',
        namespaced,
        ...sub.kind,
        verbs: sub.verbs,
      })),
    ]
  })
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersionOf({ group, version }), resources }
}
