import type { Catalog } from './catalog.ts'
import type { Resource } from './resource.ts'

/** What a path under /api/v1 or /apis/GROUP/VERSION means. */
export interface Route {
  resource: Resource
  namespace: string | undefined // undefined: all of them, or none
  name: string | undefined // undefined: the collection
  subresource: string | undefined
}

/** @returns undefined for a path that names no served resource */
export function routeOf(catalog: Catalog, path: string): Route | undefined {
  const parts = path.split('/').slice(1).map(decodeURIComponent)
  const [root, ...below] = parts
  let group = ''
  if (root === 'apis') group = below.shift() ?? ''
  else if (root !== 'api') return undefined
  const version = below.shift() ?? ''
  let namespace: string | undefined
  if (
    below[0] === 'namespaces' &&
    below.length > 2 &&
    !(group === '' && ['status', 'finalize'].includes(below[2] ?? ''))
  ) {
    namespace = below[1]
    below.splice(0, 2)
  }
  const [plural = '', name, subresource, ...rest] = below
  const resource = catalog.find(group, version, plural)
  if (resource === undefined || rest.length > 0 || (namespace !== undefined && !resource.namespaced)) return undefined
  return { resource, namespace, name: name === '' ? undefined : name, subresource }
}
