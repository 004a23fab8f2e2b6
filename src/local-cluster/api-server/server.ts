import { hash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { isOperatingError, messageOf, type OperatingError } from '../../base/errors.ts'
import type { HttpServerReply, HttpServerRequest } from '../../base/http.ts'
import type { Log } from '../../base/log.ts'
import { aggregatedDiscovery, coreVersions, groupList, oneGroup, resourceList } from './discovery.ts'
import {
  bodyOf,
  deleteOptionsOf,
  type Exchange,
  matchesOf,
  objectIn,
  patchTypeOf,
  readToken,
  tableWish,
  wantsMetadataOnly,
  writeOptions,
  writeToken,
} from './exchange.ts'
import { type JsonObject, jsonOf, type KubeObject, objectAt, refusal } from './object.ts'
import { emptyOpenApiV2, openApiIndex, openApiOf, openApiV2Of, openApiV2Protobuf } from './openapi.ts'
import { patchedBy, type Registry } from './registry.ts'
import { groupVersionOf, type Resource } from './resource.ts'
import { type Route, routeOf } from './route.ts'
import { scaleOf, withScale } from './scale.ts'
import type { Matches } from './selectors.ts'
import { statusOf } from './status.ts'
import { keyOf } from './store.ts'
import { partial, tableOf } from './table.ts'
import { revisionOf, streamWatch } from './watch.ts'

/** What `kubectl logs` asks for. */
export interface LogOptions {
  container: string | undefined
  follow: boolean
  previous: boolean
  tailLines: number | undefined
  limitBytes: number | undefined
}

/** Reads what a pod has written. @throws OperatingError KUBE_REFUSED when there is no such container */
export type ReadLog = (pod: KubeObject, options: LogOptions, signal: AbortSignal) => AsyncIterable<string | Uint8Array>

export interface ApiServerOptions {
  registry: Registry
  token: string
  readLog: ReadLog
}

/** Answers HTTP requests as kube-apiserver would. Whoever has the token may do everything: it is one person's cluster. */
export function createApiHandler(
  { registry, token, readLog }: ApiServerOptions,
  doors: { clock: Clock; log: Log },
): (request: HttpServerRequest, reply: HttpServerReply) => Promise<void> {
  const { catalog } = registry
  const tokenHash = hashOf(`Bearer ${token}`)

  return async (request, reply) => {
    const url = new URL(request.url, 'https://cluster')
    const warnings: string[] = []
    const send = (status: number, body: unknown, contentType = 'application/json') => {
      const headers: Record<string, string> = { 'content-type': contentType, 'cache-control': 'no-cache, private' }
      if (warnings.length > 0) headers.warning = warnings.map((text) => `299 - ${JSON.stringify(text)}`).join(', ')
      reply.start(status, headers)
      reply.end(typeof body === 'string' ? body : JSON.stringify(body))
    }
    try {
      if (['/healthz', '/livez', '/readyz'].includes(url.pathname)) return send(200, 'ok', 'text/plain')
      if (!timingSafeEqual(hashOf(request.headers.authorization ?? ''), tokenHash))
        throw refusal(401, 'Unauthorized', 'Unauthorized')
      if (request.method === 'POST' && url.pathname === accessReviews) return send(201, mayDoAll)
      const document = documentAt(url.pathname, request.headers.accept ?? '')
      if (document !== undefined) return send(200, document.body, document.contentType)
      const route = routeOf(catalog, url.pathname)
      if (route === undefined) throw refusal(404, 'NotFound', 'the server could not find the requested resource')
      await serve(route, { request, reply, query: url.searchParams, send, warn: (text) => warnings.push(text) })
    } catch (error) {
      const told = asRefusal(error)
      if (told === undefined)
        doors.log.error({ err: error, method: request.method, url: request.url }, 'request failed')
      send(...statusReply(told ?? refusal(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`)))
    }
  }

  function documentAt(path: string, accept: string): { body: unknown; contentType?: string } | undefined {
    const plain = (body: unknown) => (body === undefined ? undefined : { body })
    const parts = path.split('/').slice(1)
    if (path === '/version') return { body: version }
    if (path === '/openapi/v2') return openApiV2(accept)
    if (path === '/openapi/v3') return { body: openApiIndex(catalog) }
    if (parts[0] === 'openapi' && parts[1] === 'v3' && parts[2] === 'api')
      return plain(openApiOf(catalog, '', parts[3] ?? ''))
    if (parts[0] === 'openapi' && parts[1] === 'v3') return plain(openApiOf(catalog, parts[3] ?? '', parts[4] ?? ''))
    if (path === '/api' || path === '/apis') {
      const aggregated = /g=apidiscovery\.k8s\.io;v=(v2|v2beta1);as=APIGroupDiscoveryList/.exec(accept)?.[1]
      if (aggregated === undefined) return { body: path === '/api' ? coreVersions : groupList(catalog) }
      return {
        body: aggregatedDiscovery(catalog, path === '/api', aggregated),
        contentType: `application/json;g=apidiscovery.k8s.io;v=${aggregated};as=APIGroupDiscoveryList`,
      }
    }
    if (parts[0] === 'api' && parts.length === 2) return plain(resourceList(catalog, '', parts[1] ?? ''))
    if (parts[0] === 'apis' && parts.length === 2) return plain(oneGroup(catalog, parts[1] ?? ''))
    if (parts[0] === 'apis' && parts.length === 3) return plain(resourceList(catalog, parts[1] ?? '', parts[2] ?? ''))
    return undefined
  }

  function openApiV2(accept: string): { body: unknown; contentType?: string } {
    const isAny = accept === '' || /application\/json|\*\/\*/.test(accept)
    if (isAny) return { body: openApiV2Of(catalog) }
    if (/spec\.v2[@.]v1\.0\+protobuf/.test(accept)) return { body: emptyOpenApiV2, contentType: openApiV2Protobuf }
    const known = `application/json, ${openApiV2Protobuf}`
    throw refusal(406, 'NotAcceptable', `only the following media types are accepted: ${known}`)
  }

  async function serve(route: Route, exchange: Exchange): Promise<void> {
    const { resource, namespace, name, subresource } = route
    const { request, query, send } = exchange
    if (name === undefined) return serveCollection(route, exchange)
    if (subresource === 'log' && resource.collection === '/pods')
      return sendLog(registry.get(resource, namespace, name), exchange)
    if (subresource === 'scale') return serveScale(route, name, exchange)
    const isFinalize = subresource === 'finalize' && resource.collection === '/namespaces'
    if (subresource !== undefined && !isFinalize && !(subresource === 'status' && resource.hasStatus))
      throw refusal(404, 'NotFound', 'the server could not find the requested resource')
    const options = {
      ...writeOptions(exchange),
      subresource: subresource === 'status' ? ('status' as const) : undefined,
    }
    switch (request.method) {
      case 'GET':
        return show(resource, registry.get(resource, namespace, name), exchange)
      case 'PUT': {
        const object = await objectIn(request)
        object.metadata = {
          ...objectAt(object.metadata),
          name: objectAt(object.metadata).name ?? name,
        } as KubeObject['metadata']
        if (object.metadata.name !== name)
          throw refusal(
            400,
            'BadRequest',
            `the name of the object (${object.metadata.name}) does not match the name on the URL (${name})`,
          )
        return show(resource, registry.replace(resource, namespace, object, options), exchange)
      }
      case 'PATCH': {
        const existed = registry.find(resource, namespace, name) !== undefined
        const type = patchTypeOf(request)
        const patch = await bodyOf(request)
        if (type === 'apply' && !query.get('fieldManager'))
          throw refusal(
            422,
            'Invalid',
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
          )
        const force = query.get('force') === 'true'
        return show(
          resource,
          registry.patch(resource, namespace, name, type, patch, { ...options, force }),
          exchange,
          existed ? 200 : 201,
        )
      }
      case 'DELETE': {
        const isGone = () => registry.find(resource, namespace, name) === undefined
        const deleted = registry.delete(resource, namespace, name, await deleteOptionsOf(exchange))
        if (!isGone()) return show(resource, deleted, exchange)
        const details = { name, group: resource.group, kind: resource.plural, uid: deleted.metadata.uid }
        return send(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details })
      }
      default:
        throw notAllowed(request)
    }
  }

  async function serveCollection(route: Route, exchange: Exchange): Promise<void> {
    const { resource, namespace } = route
    const { request, query, send } = exchange
    const matches = matchesOf(query, route)
    switch (request.method) {
      case 'GET':
        return query.get('watch') === 'true' || query.get('watch') === '1'
          ? watch(resource, matches, exchange)
          : send(200, list(resource, matches, exchange))
      case 'POST':
        return show(
          resource,
          registry.create(resource, namespace, await objectIn(request), writeOptions(exchange)),
          exchange,
          201,
        )
      case 'DELETE': {
        const options = await deleteOptionsOf(exchange)
        for (const { metadata } of registry.store.list(resource.collection).filter(matches))
          registry.delete(resource, metadata.namespace, metadata.name, options)
        return send(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' })
      }
      default:
        throw notAllowed(request)
    }
  }

  function list(resource: Resource, matches: Matches, { request, query }: Exchange): object {
    const limit = Number(query.get('limit') ?? 0)
    const page = query.get('continue') ? readToken(query.get('continue') as string) : undefined
    const wanted = revisionOf(query.get('resourceVersion'))
    const match = query.get('resourceVersionMatch')
    checkVersionMatch(match, query)
    if (wanted !== undefined && wanted > registry.store.revision) throw tooLarge(wanted, registry.store.revision)
    const exact = match === 'Exact' ? wanted : undefined
    const revision = page?.revision ?? exact ?? registry.store.revision
    let found = registry.store.list(resource.collection, revision).filter(matches)
    if (page !== undefined)
      found = found.filter(({ metadata }) => keyOf(metadata.namespace, metadata.name) > page.after)
    const metadata: JsonObject = { resourceVersion: String(revision) }
    if (limit > 0 && found.length > limit) {
      const last = found[limit - 1] as KubeObject
      metadata.continue = writeToken({ revision, after: keyOf(last.metadata.namespace, last.metadata.name) })
      if (!query.get('labelSelector') && !query.get('fieldSelector')) metadata.remainingItemCount = found.length - limit
      found = found.slice(0, limit)
    }
    const items = found.map((object) => registry.asServed(resource, object))
    if (wantsMetadataOnly(request))
      return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items: items.map(partial) }
    const table = tableWish(request, query)
    if (table !== undefined)
      return tableOf(resource, items, metadata, { ...table, withHeader: true, nowMs: doors.clock.now() })
    return { kind: `${resource.kind}List`, apiVersion: groupVersionOf(resource), metadata, items }
  }

  function watch(resource: Resource, matches: Matches, { request, reply, query }: Exchange): Promise<void> {
    const table = tableWish(request, query)
    let withHeader = true
    const sendInitialEvents = query.get('sendInitialEvents') === 'true'
    checkVersionMatch(query.get('resourceVersionMatch'), query, sendInitialEvents)
    const showOne = (object: KubeObject) => {
      if (wantsMetadataOnly(request)) return partial(object)
      if (table === undefined) return object
      const metadata = { resourceVersion: object.metadata.resourceVersion }
      const shown = tableOf(resource, [object], metadata, { ...table, withHeader, nowMs: doors.clock.now() })
      withHeader = false // kubectl keeps the header of the first event
      return shown
    }
    const options = {
      matches,
      fromRevision: revisionOf(query.get('resourceVersion')),
      sendInitialEvents,
      bookmarks: query.get('allowWatchBookmarks') === 'true',
      timeoutMs: (Number(query.get('timeoutSeconds')) || watchSecondsDefault) * 1000,
      show: showOne,
    }
    return streamWatch(registry, resource, options, reply, { clock: doors.clock, signal: request.signal })
  }

  async function serveScale({ resource, namespace }: Route, name: string, exchange: Exchange): Promise<void> {
    const { request, send } = exchange
    const object = registry.get(resource, namespace, name)
    const scale = scaleOf(resource, object)
    if (request.method === 'GET') return send(200, scale)
    if (request.method !== 'PUT' && request.method !== 'PATCH') throw notAllowed(request)
    const wanted =
      request.method === 'PUT' ? await objectIn(request) : patchedBy(scale, patchTypeOf(request), await bodyOf(request))
    const latest = registry.get(resource, namespace, name)
    const next = registry.update(resource, namespace, withScale(resource, latest, wanted), writeOptions(exchange))
    send(200, scaleOf(resource, next))
  }

  async function sendLog(pod: KubeObject, { request, reply, query }: Exchange): Promise<void> {
    const numberOf = (key: string) => (query.has(key) ? Number(query.get(key)) : undefined)
    const follow = query.get('follow') === 'true'
    const options = {
      container: query.get('container') ?? undefined,
      follow,
      previous: query.get('previous') === 'true',
      tailLines: numberOf('tailLines'),
      limitBytes: numberOf('limitBytes'),
    }
    const chunks = readLog(pod, options, request.signal)[Symbol.asyncIterator]()
    let next = await chunks.next() // a refusal comes before the first chunk, and before the status line
    reply.start(200, { 'content-type': 'text/plain' })
    for (; next.done !== true && !request.signal.aborted; next = await chunks.next()) {
      if (!reply.write(next.value)) await reply.drained()
    }
    await chunks.return?.()
    reply.end()
  }

  function show(resource: Resource, object: KubeObject, { request, query, send }: Exchange, status = 200): void {
    const table = tableWish(request, query)
    if (request.method === 'GET' && wantsMetadataOnly(request)) {
      send(status, partial(object))
      return
    }
    if (table === undefined || request.method !== 'GET') {
      send(status, jsonOf(object))
      return
    }
    const metadata = { resourceVersion: object.metadata.resourceVersion }
    send(status, tableOf(resource, [object], metadata, { ...table, withHeader: true, nowMs: doors.clock.now() }))
  }
}

/** Source: Kubernetes, ValidateListOptions. @throws KUBE_REFUSED 422 */
function checkVersionMatch(match: string | null, query: URLSearchParams, sendInitialEvents = false): void {
  const refuse = (reason: string, message: string) =>
    refusal(422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: ${message}`, {
      causes: [{ reason, field: 'resourceVersionMatch', message }],
    })
  if (sendInitialEvents) {
    if (match === 'NotOlderThan') return
    const message = 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'
    throw refuse('FieldValueForbidden', message)
  }
  if (match === null || match === '') return
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    const message = `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan"`
    throw refuse('FieldValueNotSupported', message)
  }
  if (!query.get('resourceVersion')) {
    const message = 'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided'
    throw refuse('FieldValueForbidden', message)
  }
}

/** A real one waits 3 s before it says so, for it may lag behind its store; here there is nothing to wait for. */
function tooLarge(wanted: number, revision: number): OperatingError {
  const message = `Too large resource version: ${wanted}, current: ${revision}`
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }]
  return refusal(504, 'Timeout', message, { causes, retryAfterSeconds: 1 })
}

/** `kubectl auth can-i` and clients that ask before they act. */
const accessReviews = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
const mayDoAll = {
  kind: 'SelfSubjectAccessReview',
  apiVersion: 'authorization.k8s.io/v1',
  metadata: {},
  spec: {},
  status: { allowed: true, reason: 'the one user of a local cluster may do everything' },
}
const watchSecondsDefault = 30 * 60
const version = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0+rocketmq-local',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: `${process.platform}/${process.arch}`,
}

function hashOf(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

function asRefusal(error: unknown): OperatingError | undefined {
  if (isOperatingError(error, 'KUBE_REFUSED')) return error
  if (isOperatingError(error, 'HTTP_BODY_TOO_LARGE')) return refusal(413, 'RequestEntityTooLarge', messageOf(error))
  if (error instanceof URIError) return refusal(400, 'BadRequest', messageOf(error))
  return undefined
}

function statusReply(error: OperatingError): [number, object] {
  const body = statusOf(error)
  return [body.code, body]
}

function notAllowed({ method }: HttpServerRequest): Error {
  return refusal(405, 'MethodNotAllowed', `the server does not allow this method on the requested resource: ${method}`)
}
