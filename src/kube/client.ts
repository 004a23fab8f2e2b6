import { OperatingError } from '../base/errors.ts'
import type { HttpClient, HttpResponse } from '../base/http.ts'
import type { KubeAccess } from './access.ts'
import type { KubeObject, ObjectMeta, ResourceType } from './object.ts'

const requestTimeoutMs = 15_000
const bodyBytesMax = 64 * 1024 * 1024 // a page of 500 objects stays far below

export interface Selection {
  type: ResourceType
  /** undefined: all namespaces. */
  namespace?: string | undefined
  labelSelector?: string | undefined
}

export interface Page<T> {
  items: T[]
  resourceVersion: string
  /** Where the next page begins; undefined: this was the last one. */
  next: string | undefined
}

export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: T
}

/**
 * The Kubernetes API, as far as a controller needs it. Every method throws OperatingError HTTP_FAILED (no answer) or
 * KUBE_REFUSED with the facts status, reason, message, causes and, where the server named one, retryAfterMs.
 */
export class KubeClient {
  readonly #access: KubeAccess
  readonly #http: HttpClient
  readonly #fieldManager: string

  /** @param fieldManager owns the fields that this client applies */
  constructor(access: KubeAccess, http: HttpClient, fieldManager: string) {
    this.#access = access
    this.#http = http
    this.#fieldManager = fieldManager
  }

  /** undefined: there is none. */
  async get<T extends KubeObject>(
    type: ResourceType,
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return (await this.#json('GET', pathOf(type, namespace, name), { signal })) as T
    } catch (error) {
      if (isRefused(error, 404)) return undefined
      throw error
    }
  }

  async listPage<T extends KubeObject>(
    { type, namespace, labelSelector }: Selection,
    page: { limit: number; next?: string | undefined },
    signal?: AbortSignal,
  ): Promise<Page<T>> {
    const path = withQuery(pathOf(type, namespace), { labelSelector, limit: String(page.limit), continue: page.next })
    const list = (await this.#json('GET', path, { signal })) as {
      metadata: { resourceVersion: string; continue?: string }
      items: T[] | null
    }
    const items = list.items ?? []
    // items of a list carry neither, an object alone does
    for (const item of items) Object.assign(item, { apiVersion: type.apiVersion, kind: type.kind })
    return { items, resourceVersion: list.metadata.resourceVersion, next: list.metadata.continue || undefined }
  }

  /**
   * The lines of a watch, as they come, until the server ends it.
   * @param silenceMs how long nothing at all may come, not even a bookmark
   */
  async *watch<T extends KubeObject>(
    { type, namespace, labelSelector }: Selection,
    options: { resourceVersion: string; timeoutSeconds: number; silenceMs: number; signal: AbortSignal },
  ): AsyncGenerator<WatchEvent<T>> {
    const path = withQuery(pathOf(type, namespace), {
      labelSelector,
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: options.resourceVersion,
      timeoutSeconds: String(options.timeoutSeconds),
    })
    const response = await this.#send('GET', path, { signal: options.signal, timeoutMs: options.silenceMs })
    for await (const line of lines(response.body)) yield JSON.parse(line) as WatchEvent<T>
  }

  /**
   * Server-side apply of the whole of what is wanted; the server finds the difference.
   * @param subresource `status` applies that alone
   */
  apply<T extends KubeObject>(type: ResourceType, object: T, subresource?: 'status', signal?: AbortSignal): Promise<T> {
    const { namespace, name } = object.metadata
    const path = withQuery(pathOf(type, namespace, name, subresource), {
      fieldManager: this.#fieldManager,
      force: 'true',
    })
    // JSON is YAML; application/apply-patch+yaml is the name that every server version knows
    return this.#json('PATCH', path, {
      body: object,
      contentType: 'application/apply-patch+yaml',
      signal,
    }) as Promise<T>
  }

  /**
   * JSON merge patch. With metadata.resourceVersion in it, it fails with 409 when somebody was faster. The server does not look for
   * fields that it does not know: it would only warn, and nobody reads that.
   */
  merge<T extends KubeObject>(
    type: ResourceType,
    meta: ObjectMeta,
    patch: object,
    signal?: AbortSignal,
    subresource?: 'scale' | 'status',
  ): Promise<T> {
    const path = withQuery(pathOf(type, meta.namespace, meta.name, subresource), {
      fieldManager: this.#fieldManager,
      fieldValidation: 'Ignore',
    })
    return this.#json('PATCH', path, { body: patch, contentType: 'application/merge-patch+json', signal }) as Promise<T>
  }

  /** Fails with 409 when there is one. */
  create<T extends KubeObject>(type: ResourceType, object: T, signal?: AbortSignal): Promise<T> {
    return this.#json('POST', pathOf(type, object.metadata.namespace), { body: object, signal }) as Promise<T>
  }

  /**
   * Deletes the object that the caller has seen, and none that took its name since; what it owns goes after it.
   * Harmless when it is gone already.
   */
  async delete(type: ResourceType, meta: ObjectMeta, signal?: AbortSignal): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      ...(meta.uid !== undefined && { preconditions: { uid: meta.uid } }),
    }
    try {
      await this.#json('DELETE', pathOf(type, meta.namespace, meta.name), { body, signal })
    } catch (error) {
      if (!isRefused(error, 404) && !isRefused(error, 409)) throw error
    }
  }

  async #json(
    method: string,
    path: string,
    options: { body?: object; contentType?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<unknown> {
    const response = await this.#send(method, path, options)
    return JSON.parse(await textOf(response))
  }

  async #send(
    method: string,
    path: string,
    options: { body?: object; contentType?: string; signal?: AbortSignal | undefined; timeoutMs?: number },
  ): Promise<HttpResponse> {
    const { tls, headers } = await this.#access.credentials()
    const { body, signal } = options
    const response = await this.#http.request({
      method,
      url: this.#access.server + path,
      headers: {
        accept: 'application/json',
        'user-agent': this.#fieldManager,
        ...headers,
        ...(body && { 'content-type': options.contentType ?? 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      ...(tls && { tls }),
      timeoutMs: options.timeoutMs ?? requestTimeoutMs,
      ...(signal && { signal }),
    })
    if (response.status >= 200 && response.status < 300) return response
    throw await refusal(method, path, response)
  }
}

/** Whether error is the API server's answer with that HTTP status. */
export function isRefused(error: unknown, status: number): error is OperatingError {
  return error instanceof OperatingError && error.code === 'KUBE_REFUSED' && error.facts.status === status
}

/** Whether nothing new can be made because the namespace is being deleted. */
export function isNamespaceGoing(error: unknown): boolean {
  return isRefused(error, 403) && (error.facts.causes as string[]).includes('NamespaceTerminating')
}

export function pathOf(type: ResourceType, namespace?: string, name?: string, subresource?: string): string {
  const root = type.apiVersion.includes('/') ? `/apis/${type.apiVersion}` : `/api/${type.apiVersion}`
  const parts = [namespace && `namespaces/${encodeURIComponent(namespace)}`, type.plural, name, subresource]
  return [root, ...parts.filter((part) => part)].join('/')
}

function withQuery(path: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return `${path}?${new URLSearchParams(given)}`
}

async function refusal(method: string, path: string, response: HttpResponse): Promise<OperatingError> {
  const text = await textOf(response)
  let said: { reason?: string; message?: string; details?: { causes?: { reason?: string }[] } } = {
    message: text.slice(0, 300),
  }
  try {
    said = JSON.parse(text)
  } catch {
    // a proxy before the API server answers in whatever form it likes
  }
  const retryAfterSeconds = Number(response.headers['retry-after'])
  return new OperatingError('KUBE_REFUSED', {
    method,
    path,
    status: response.status,
    reason: said.reason ?? '',
    message: said.message ?? '',
    causes: said.details?.causes?.map((cause) => cause.reason ?? '') ?? [],
    ...(retryAfterSeconds > 0 && { retryAfterMs: retryAfterSeconds * 1000 }),
  })
}

async function textOf(response: HttpResponse): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response.body) {
    bytes += part.length
    if (bytes > bodyBytesMax) throw new OperatingError('HTTP_BODY_TOO_LARGE', { bodyBytesMax })
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

async function* lines(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let parts: Buffer[] = [] // of a line that is not whole yet
  let bytes = 0
  for await (const chunk of body) {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]).toString('utf8')
      if (line !== '') yield line
      parts = []
      bytes = 0
      start = end + 1
    }
    if (start === chunk.length) continue
    bytes += chunk.length - start
    if (bytes > bodyBytesMax) throw new OperatingError('HTTP_BODY_TOO_LARGE', { bodyBytesMax })
    parts.push(chunk.subarray(start))
  }
}
