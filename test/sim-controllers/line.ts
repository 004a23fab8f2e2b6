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
  cut: number // a watch ends in the middle; the next one may get 410
  late: number // an event comes seconds later, and those behind it
  doubled: number // an event comes twice
  crash: number // the operator dies after a write
}

export const noFaults: Faults = { refused: 0, conflict: 0, lost: 0, cut: 0, late: 0, doubled: 0, crash: 0 }

export interface LineOptions {
  handle: Handle
  clock: Clock
  chance: SeededRandom
  faults: () => Faults
  /** Told before a request reaches the API server. */
  arrives?: (method: string, path: string) => void
  /** Told after a write was done. */
  wrote?: (method: string, path: string) => void
}

/** A connection of one operator to the API server, with all that may happen on it. Cut for good, nothing arrives any more. */
export class Line implements HttpClient {
  readonly #options: LineOptions
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
    const isWatch = searchParams.get('watch') === 'true'
    if (chance.is(faults.refused)) return refusal(chance.one([429, 500]))
    if (isWrite && chance.is(faults.conflict)) return refusal(409)
    if (isWatch && chance.is(faults.cut)) return refusal(410)
    arrives?.(method, pathname)
    const answer = await exchange(handle, { ...request, url: pathname + search })
    if (isWrite && answer.status < 300) wrote?.(method, pathname)
    if (!isWatch && chance.is(faults.lost)) throw new OperatingError('HTTP_FAILED', { why: 'the answer was lost' })
    if (!isWatch) await clock.sleep(chance.whole(1, 20))
    if (this.isDead) throw new OperatingError('HTTP_FAILED', { why: 'dead' })
    return isWatch ? { ...answer, body: this.#disturbed(answer.body) } : answer
  }

  close(): void {}

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
  return {
    status,
    headers: status === 429 ? { 'retry-after': '1' } : {},
    body: (async function* () {
      yield Buffer.from(text)
    })(),
  }
}

/** Asks the API server without a network. Every write of its reply is one chunk. */
function exchange(handle: Handle, request: HttpRequest): Promise<HttpResponse> {
  const chunks: Buffer[] = []
  const gone = new AbortController()
  const end = () => gone.abort(request.signal?.reason)
  request.signal?.addEventListener('abort', end, { once: true })
  let isOver = false
  let wake = () => {}
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
            request.signal?.addEventListener('abort', () => resolve(), { once: true })
          })
      }
    } finally {
      request.signal?.removeEventListener('abort', end)
      gone.abort()
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
