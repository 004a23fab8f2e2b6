import { OperatingError } from '../../base/errors.ts'
import type { HttpClient, HttpRequest, HttpResponse } from '../../base/http.ts'
import { KubeClient, type KubeObject } from '../index.ts'

/** Objects by path, with versions: GET, POST and merge patches, as much as Leases and events need. */
export class MemoryApi implements HttpClient {
  readonly objects = new Map<string, KubeObject & Record<string, unknown>>()
  /** Requests of whom are not answered until they are given up. */
  readonly silentFor = new Set<string>()
  /** What happens before a request is answered. */
  before: (request: HttpRequest) => void = () => {}
  writes = 0
  #version = 0

  /** @param name of the one who asks, for silentFor */
  client(name: string): KubeClient {
    const access = { server: 'http://kube', source: name, credentials: async () => ({ headers: { 'x-name': name } }) }
    return new KubeClient(access, this, name)
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    if (this.silentFor.has(request.headers?.['x-name'] ?? '')) {
      await new Promise((_, reject) => {
        request.signal?.addEventListener('abort', () => reject(new OperatingError('HTTP_FAILED')), { once: true })
      })
    }
    this.before(request)
    const { pathname } = new URL(request.url)
    const body = request.body === undefined ? undefined : JSON.parse(String(request.body))
    switch (request.method) {
      case 'POST': {
        const path = `${pathname}/${body.metadata.name}`
        return this.objects.has(path) ? refused(409) : this.#put(path, body)
      }
      case 'PATCH': {
        const live = this.objects.get(pathname)
        if (!live) return refused(404)
        const asked = body.metadata?.resourceVersion
        if (asked !== undefined && asked !== live.metadata.resourceVersion) return refused(409)
        return this.#put(pathname, merged(live, body) as KubeObject)
      }
      default: {
        const live = this.objects.get(pathname)
        return live ? answer(200, live) : refused(404)
      }
    }
  }

  close(): void {}

  #put(path: string, object: KubeObject): HttpResponse {
    this.writes++
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } }
    this.objects.set(path, stored)
    return answer(200, stored)
  }
}

function merged(live: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result: Record<string, unknown> = { ...(live as Record<string, unknown>) }
  for (const [key, value] of Object.entries(patch)) result[key] = merged(result[key], value)
  return result
}

function refused(status: number): HttpResponse {
  return answer(status, { reason: String(status), message: `refused with ${status}` })
}

function answer(status: number, body: object): HttpResponse {
  const bytes = Buffer.from(JSON.stringify(body))
  return {
    status,
    headers: {},
    body: (async function* () {
      yield bytes
    })(),
  }
}
