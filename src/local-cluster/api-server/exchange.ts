import { parse as parseYaml } from 'yaml'
import { messageOf } from '../../base/errors.ts'
import type { HttpServerReply, HttpServerRequest } from '../../base/http.ts'
import { isObject, type KubeObject, objectAt, refusal } from './object.ts'
import { readProtobuf } from './protobuf.ts'
import type { DeleteOptions, PatchType, WriteOptions } from './registry.ts'
import type { Route } from './route.ts'
import { type Matches, parseFieldSelector, parseLabelSelector } from './selectors.ts'
import type { IncludeObject } from './table.ts'

/** A request and the ways to answer it. */
export interface Exchange {
  request: HttpServerRequest
  reply: HttpServerReply
  query: URLSearchParams
  send(status: number, body: unknown, contentType?: string): void
  warn(text: string): void
}

const patchTypes: Record<string, PatchType> = {
  'application/merge-patch+json': 'merge',
  'application/json-patch+json': 'json',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
}

function contentTypeOf(request: HttpServerRequest): string {
  return (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim() ?? ''
}

export function patchTypeOf(request: HttpServerRequest): PatchType {
  const type = patchTypes[contentTypeOf(request)]
  if (type === undefined)
    throw refusal(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: ${Object.keys(patchTypes).join(', ')}`,
    )
  return type
}

export async function bodyOf(request: HttpServerRequest): Promise<unknown> {
  const body = await request.body()
  const type = contentTypeOf(request)
  if (body.length === 0) return undefined
  if (type === 'application/vnd.kubernetes.protobuf') return readProtobuf(body)
  const text = body.toString('utf8')
  try {
    return type.endsWith('yaml') && !text.startsWith('{') ? parseYaml(text) : JSON.parse(text)
  } catch (error) {
    throw refusal(400, 'BadRequest', `the object provided is unrecognized: ${messageOf(error)}`)
  }
}

export async function objectIn(request: HttpServerRequest): Promise<KubeObject> {
  const body = await bodyOf(request)
  if (!isObject(body)) throw refusal(400, 'BadRequest', 'the body of the request is no object')
  return body as KubeObject
}

export async function deleteOptionsOf({ request, query }: Exchange): Promise<DeleteOptions> {
  const body = objectAt(await bodyOf(request))
  const grace = body.gracePeriodSeconds ?? query.get('gracePeriodSeconds') ?? undefined
  return {
    gracePeriodSeconds: grace === undefined ? undefined : Number(grace),
    propagationPolicy: (body.propagationPolicy ??
      query.get('propagationPolicy') ??
      undefined) as DeleteOptions['propagationPolicy'],
    preconditions: body.preconditions as DeleteOptions['preconditions'],
    dryRun: isDryRun(body.dryRun ?? query.getAll('dryRun'), 'DeleteOptions'),
  }
}

/** @throws KUBE_REFUSED 422 for a dry run of a kind that there is not */
function isDryRun(wanted: unknown, options: string): boolean {
  const stages = Array.isArray(wanted) ? wanted : [wanted]
  for (const stage of stages) {
    if (stage === 'All') continue
    const message = `Unsupported value: ${JSON.stringify(stage)}: supported values: "All"`
    const causes = [{ reason: 'FieldValueNotSupported', field: 'dryRun', message }]
    throw refusal(422, 'Invalid', `${options}.meta.k8s.io "" is invalid: dryRun: ${message}`, { causes })
  }
  return stages.length > 0
}

export function writeOptions({ request, query, warn }: Exchange): WriteOptions {
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0] as string
  return {
    manager: query.get('fieldManager') || agent,
    fieldValidation: (query.get('fieldValidation') || 'Warn') as 'Strict' | 'Warn' | 'Ignore',
    dryRun: isDryRun(query.getAll('dryRun'), 'WriteOptions'),
    warn,
  }
}

export function matchesOf(query: URLSearchParams, { resource, namespace }: Route): Matches {
  const tests: Matches[] = []
  if (namespace !== undefined) tests.push(({ metadata }) => metadata.namespace === namespace)
  if (query.get('labelSelector')) tests.push(parseLabelSelector(query.get('labelSelector') as string))
  if (query.get('fieldSelector')) tests.push(parseFieldSelector(query.get('fieldSelector') as string, resource))
  return (object) => tests.every((passes) => passes(object))
}

export function tableWish(
  { headers }: HttpServerRequest,
  query: URLSearchParams,
): { include: IncludeObject } | undefined {
  if (!/as=Table/.test(headers.accept ?? '')) return undefined
  return { include: (query.get('includeObject') ?? 'Metadata') as IncludeObject }
}

/** Clients that keep only metadata, such as metadata informers. */
export function wantsMetadataOnly({ headers }: HttpServerRequest): boolean {
  return /as=PartialObjectMetadata(List)?/.test(headers.accept ?? '')
}

interface PageToken {
  revision: number
  after: string
}

export function writeToken(token: PageToken): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

export function readToken(text: string): PageToken {
  try {
    const { revision, after } = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (Number.isSafeInteger(revision) && typeof after === 'string') return { revision, after }
  } catch {
    // falls to the refusal below
  }
  throw refusal(400, 'BadRequest', `continue key is not valid: ${text}`)
}
