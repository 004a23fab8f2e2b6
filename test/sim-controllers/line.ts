import type { Clock } from '../../src/base/clock.ts'
import { OperatingError } from '../../src/base/errors.ts'
import type { HttpClient, HttpRequest, HttpResponse, HttpServerReply, HttpServerRequest } from '../../src/base/http.ts'
import type { SeededRandom } from '../sim/doors/random.ts'

export type Handle = (request: HttpServerRequest, reply: HttpServerReply) => void | Promise<void>

/** How often something goes wrong, of 1. */
export interface Faults {
  refused: number // 429 or 500, and nothing is done
  conflict: number // 409 to a write, and nothing is done
  lost: number // it is done, and the answer never comes
  cut: number // a watch ends in the middle; or its version is forgotten, and it gets 410 until it lists again
  stale: number // a watch begins with events that its client has seen before
  late: number // an event comes seconds later, and those behind it
  doubled: number // an event comes twice
  crash: number // the operator dies after a write
}

const staleMost = 30 // versions that a watch may be set back
const firstVersion = 1_000 // at which the API server's store begins

export const noFaults: Faults = { refused: 0, conflict: 0, lost: 0, cut: 0, stale: 0, late: 0, doubled: 0, crash: 0 }

export interface LineOptions {
  handle: Handle
  clock: Clock
  chance: SeededRandom
  faults: () => Faults
  /** The API server's version now. */
  revision: () => number
  /** Told before a request reaches the API server. */
  arrives?: (method: string, path: string) => void
  /** Told of each event that is written. */
  tells?: (event: object) => void
  /** Told after a write was done. */
  wrote?: (method: string, path: string) => void
}

/** A connection of one operator to the API server, with all that may happen on it. Cut for good, nothing arrives any more. */
export class Line implements HttpClient {
  readonly #options: LineOptions
  readonly #oldest = new Map<string, number>() // by path: the first version that a watch may still begin at
  isDead = false

  constructor(options: LineOptions) {
    this.#options = options
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    const { clock, chance, handle, arrives, wrote } = this.#options
    await this.#travel(request.signal)
    const faults = this.#options.faults()
    const { method } = request
    const isWrite = method !== 'GET'
    const { pathname, search, searchParams } = new URL(request.url)
    if (pathname.includes('/events')) {
      this.#options.tells?.(JSON.parse(String(request.body)))
      return replyOf(201, String(request.body)) // no controller reads them
    }
    const isWatch = searchParams.get('watch') === 'true'
    if (chance.is(faults.refused)) return refusal(chance.one([429, 500]))
    if (isWrite && chance.is(faults.conflict)) return refusal(409)
    if (isWatch && !this.#beginWatch(pathname, searchParams)) return refusal(410)
    arrives?.(method, pathname)
    const answer = await exchange(handle, {
      ...request,
      url: isWatch ? `${pathname}?${searchParams}` : pathname + search,
    })
    if (isWrite && answer.status < 300) wrote?.(method, pathname)
    if (!isWatch && chance.is(faults.lost)) throw new OperatingError('HTTP_FAILED', { why: 'the answer was lost' })
    if (!isWatch) await clock.sleep(chance.whole(1, 20))
    if (this.isDead) throw new OperatingError('HTTP_FAILED', { why: 'dead' })
    return isWatch ? { ...answer, body: this.#disturbed(answer.body) } : answer
  }

  close(): void {}

  /** May set it back. @returns false: its version is forgotten */
  #beginWatch(path: string, query: URLSearchParams): boolean {
    const { chance, faults, revision } = this.#options
    if (chance.is(faults().cut)) this.#oldest.set(path, revision())
    const version = Number(query.get('resourceVersion'))
    const oldest = this.#oldest.get(path) ?? 0
    if (version < oldest) return false
    if (chance.is(faults().stale)) {
      query.set('resourceVersion', String(Math.max(version - chance.whole(1, staleMost), oldest, firstVersion)))
    }
    return true
  }

  async #travel(signal: AbortSignal | undefined): Promise<void> {
    const { clock, chance } = this.#options
    signal?.throwIfAborted()
    await clock.sleep(chance.whole(1, 20), signal)
    if (this.isDead) throw new OperatingError('HTTP_FAILED', { why: 'dead' })
  }

  async *#disturbed(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const { clock, chance } = this.#options
    for await (const chunk of body) {
      const faults = this.#options.faults()
      if (chance.is(faults.late)) await clock.sleep(chance.whole(100, 5000))
      if (this.isDead || chance.is(faults.cut)) throw new OperatingError('HTTP_FAILED', { why: 'cut' })
      yield chunk
      if (chance.is(faults.doubled)) yield chunk
    }
  }
}

function refusal(status: number): HttpResponse {
  const text = JSON.stringify({ kind: 'Status', code: status, reason: String(status), message: `injected ${status}` })
  return { ...replyOf(status, text), headers: status === 429 ? { 'retry-after': '1' } : {} }
}

function replyOf(status: number, text: string): HttpResponse {
  const body = (async function* () {
    yield Buffer.from(text)
  })()
  return { status, headers: {}, body }
}

const isGone = 'the peer is gone' // one for all: an error of each request's own costs more than the request

/** Asks the API server without a network. Every write of its reply is one chunk. */
function exchange(handle: Handle, request: HttpRequest): Promise<HttpResponse> {
  const chunks: Buffer[] = []
  const gone = new AbortController()
  let isOver = false
  let wake = () => {}
  const end = () => {
    gone.abort(isGone)
    wake()
  }
  request.signal?.addEventListener('abort', end, { once: true })
  async function* body(): AsyncGenerator<Buffer> {
    try {
      while (true) {
        request.signal?.throwIfAborted()
        const chunk = chunks.shift()
        if (chunk !== undefined) yield chunk
        else if (isOver) return
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      request.signal?.removeEventListener('abort', end)
      gone.abort(isGone)
    }
  }
  return new Promise((resolve, reject) => {
    const write = (chunk: string | Uint8Array) => {
      chunks.push(Buffer.from(chunk as string))
      wake()
    }
    const reply: HttpServerReply = {
      start: (status, headers) => resolve({ status, headers, body: body() }),
      write: (chunk) => {
        write(chunk)
        return true
      },
      drained: async () => {},
      end: (chunk) => {
        if (chunk !== undefined) write(chunk)
        isOver = true
        wake()
      },
    }
    const { method, url, headers = {} } = request
    const sent = Buffer.from((request.body as string | undefined) ?? '')
    void Promise.resolve(handle({ method, url, headers, body: async () => sent, signal: gone.signal }, reply)).catch(
      reject,
    )
  })
}
