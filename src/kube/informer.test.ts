import { expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import type { HttpClient, HttpRequest, HttpResponse, HttpServerReply } from '../base/http.ts'
import { silentLog } from '../base/log.ts'
import { createHttpClient, listenHttp, nodeClock } from '../base/node/index.ts'
import { nodeRandom } from '../base/node/random.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { eventually } from '../base/testing/eventually.ts'
import { KubeClient } from './client.ts'
import { Informer } from './informer.ts'
import { configMaps, type KubeObject, keyOf } from './object.ts'

function object(name: string, resourceVersion: number, data = ''): KubeObject & { data: string } {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': 'heavy' }
  const metadata = {
    name,
    namespace: 'ns',
    resourceVersion: String(resourceVersion),
    managedFields: ['heavy'],
    annotations,
  }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }
}

/** An API server of which the test writes the answers; requests wait for them in the order they came. */
class ScriptedServer implements HttpClient {
  readonly requests: URL[] = []
  readonly #answers: ((request: HttpRequest) => HttpResponse)[] = []
  #waiting: (() => void)[] = []

  async request(request: HttpRequest): Promise<HttpResponse> {
    this.requests.push(new URL(request.url))
    if (this.#answers.length === 0) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve)
        request.signal?.addEventListener('abort', () => reject(new OperatingError('HTTP_FAILED')))
      })
    }
    return (this.#answers.shift() as (request: HttpRequest) => HttpResponse)(request)
  }

  close(): void {}

  answer(status: number, body: object, headers: Record<string, string> = {}): void {
    this.#add(() => ({ status, headers, body: chunks(JSON.stringify(body)) }))
  }

  list(resourceVersion: number, items: KubeObject[], next?: string): void {
    this.answer(200, { metadata: { resourceVersion: String(resourceVersion), continue: next }, items })
  }

  /** Begins a watch; what is sent arrives in pieces, as on a network. */
  watch(): { send(type: string, object: object): void; end(): void; cut(): void } {
    const events: (string | Error | null)[] = []
    let wake = () => {}
    async function* body(signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
      for (;;) {
        const event = events.shift()
        if (event === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
            signal?.addEventListener('abort', () => resolve())
          })
          if (signal?.aborted) throw new OperatingError('HTTP_FAILED')
        } else if (event === null) return
        else if (event instanceof Error) throw event
        else yield* chunks(event)
      }
    }
    const add = (event: string | Error | null) => {
      events.push(event)
      wake()
    }
    this.#add(({ signal }) => ({ status: 200, headers: {}, body: body(signal) }))
    return {
      send: (type, object) => add(`${JSON.stringify({ type, object })}\n`),
      end: () => add(null),
      cut: () => add(new OperatingError('HTTP_FAILED')),
    }
  }

  #add(answer: (request: HttpRequest) => HttpResponse): void {
    this.#answers.push(answer)
    this.#waiting.shift()?.()
  }
}

async function* chunks(text: string): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
}

function start() {
  const clock = new ManualClock()
  const server = new ScriptedServer()
  const access = { server: 'http://kube', source: 'test', credentials: async () => ({ headers: {} }) }
  const client = new KubeClient(access, server, 'test')
  const informer = new Informer<KubeObject & { data: string }>(
    client,
    { type: configMaps },
    { data: ({ data }) => [data] },
    { clock, random: nodeRandom, log: silentLog },
  )
  const changes: string[] = []
  informer.onChange(({ before, after }) =>
    changes.push(`${before ? (after ? 'changed' : 'gone') : 'new'} ${keyOf((after ?? before) as KubeObject)}`),
  )
  const stop = new AbortController()
  const running = informer.run(stop.signal)
  return {
    clock,
    server,
    informer,
    changes,
    names: () => [...informer.cache.all()].map(({ metadata, data }) => `${metadata.name}=${data}`).sort(),
    lastQuery: () => Object.fromEntries((server.requests.at(-1) as URL).searchParams),
    async stop() {
      stop.abort()
      await running
    },
  }
}

test('lists page by page, then follows the changes', async () => {
  const { clock, server, informer, changes, names, lastQuery, stop } = start()
  server.list(0, [object('a', 1, 'x')], 'page-2')
  server.list(5, [object('b', 2, 'y')])
  await informer.synced
  expect(server.requests[1]?.searchParams.get('continue')).toBe('page-2')

  const watch = server.watch()
  watch.send('ADDED', object('c', 6, 'z'))
  watch.send('MODIFIED', object('a', 7, 'xx'))
  watch.send('DELETED', object('b', 8, 'y'))
  await clock.turn()
  await clock.turn()

  expect(lastQuery()).toMatchObject({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '5' })
  expect(names()).toEqual(['a=xx', 'c=z'])
  expect(informer.cache.by('data', 'xx').map(keyOf)).toEqual(['ns/a'])
  expect(informer.cache.by('data', 'x')).toEqual([])
  expect(changes).toEqual(['new ns/a', 'new ns/b', 'new ns/c', 'changed ns/a', 'gone ns/b'])
  expect(informer.cache.get('ns/a')?.metadata).not.toHaveProperty('managedFields')
  expect(JSON.stringify([...informer.cache.all()])).not.toContain('heavy')
  await stop()
})

test('a cut watch goes on from the last version seen, bookmarks too', async () => {
  const { clock, server, informer, names, lastQuery, stop } = start()
  server.list(5, [object('a', 1)])
  await informer.synced
  const watch = server.watch()
  watch.send('BOOKMARK', object('', 90))
  watch.cut()
  await clock.advance(1000)

  expect(lastQuery()).toMatchObject({ watch: 'true', resourceVersion: '90' })
  const second = server.watch()
  second.send('ADDED', object('b', 91))
  await clock.turn()
  await clock.turn()
  expect(names()).toEqual(['a=', 'b='])
  await stop()
})

test.each(['an event', 'an answer'])(
  'a version that the server forgot (410, as %s) leads to a new list',
  async (how) => {
    const { clock, server, informer, changes, names, stop } = start()
    server.list(5, [object('a', 1), object('b', 2)])
    await informer.synced
    const gone = { code: 410, reason: 'Expired', message: 'too old' }
    if (how === 'an event') server.watch().send('ERROR', gone)
    else server.answer(410, gone)
    server.list(50, [object('b', 2), object('c', 40)])
    server.watch()
    await clock.advance(1000)

    expect(names()).toEqual(['b=', 'c='])
    expect(changes.slice(2)).toEqual(['gone ns/a', 'new ns/c']) // b did not change: nobody is woken
    await stop()
  },
)

test('a server that is too busy is left alone for as long as it asked', async () => {
  const { clock, server, informer, stop } = start()
  server.answer(429, { reason: 'TooManyRequests' }, { 'retry-after': '7' })
  await clock.advance(6900)
  expect(server.requests).toHaveLength(1)

  server.list(5, [])
  await clock.advance(200)
  await informer.synced
  expect(server.requests.length).toBeGreaterThan(1)
  await stop()
})

test('a server that ends every watch at once is not hammered', async () => {
  const { clock, server, informer, stop } = start()
  server.list(5, [])
  await informer.synced
  for (let watches = 0; watches < 100; watches++) server.watch().end()
  await clock.advance(10_000)

  expect(server.requests.length).toBeLessThan(12)
  await stop()
})

test('a connection that falls silent without a word is dropped, and the watch goes on from the last version seen', async () => {
  const watches: { reply: HttpServerReply; from: string | null; isGone: boolean }[] = []
  const line = (name: string, version: number) =>
    `${JSON.stringify({ type: 'ADDED', object: object(name, version) })}\n`
  const server = await listenHttp({ host: '127.0.0.1', port: 0, bodyBytesMax: 1000 }, (request, reply) => {
    const query = new URL(request.url, 'http://kube').searchParams
    reply.start(200, {})
    if (query.get('watch') !== 'true') {
      return reply.end(JSON.stringify({ metadata: { resourceVersion: '5' }, items: [object('a', 1)] }))
    }
    const watch = { reply, from: query.get('resourceVersion'), isGone: false }
    request.signal.addEventListener('abort', () => {
      watch.isGone = true
    })
    watches.push(watch)
  })
  const http = createHttpClient()
  const asked: number[] = []
  /** The time in which nothing may come is another one for a test. */
  const impatient: HttpClient = {
    request(request) {
      asked.push(request.timeoutMs)
      return http.request({ ...request, timeoutMs: request.timeoutMs === 90_000 ? 200 : request.timeoutMs })
    },
    close: () => http.close(),
  }
  const access = {
    server: `http://127.0.0.1:${server.address.port}`,
    source: 'test',
    credentials: async () => ({ headers: {} }),
  }
  const doors = { clock: nodeClock, random: nodeRandom, log: silentLog }
  const informer = new Informer(new KubeClient(access, impatient, 'test'), { type: configMaps }, {}, doors)
  const stop = new AbortController()
  const running = informer.run(stop.signal)
  try {
    await eventually(() => expect(watches).toHaveLength(1))
    watches[0]?.reply.write(line('b', 6))

    await eventually(() => expect(watches.length).toBeGreaterThan(1)) // the first one says nothing more, and never ends
    watches[1]?.reply.write(line('c', 7))
    await eventually(() => expect([...informer.cache.all()].map(keyOf)).toEqual(['ns/a', 'ns/b', 'ns/c']))

    expect(watches.slice(0, 2).map(({ from }) => from)).toEqual(['5', '6'])
    expect(watches[0]?.isGone).toBe(true)
    expect(asked.slice(0, 3)).toEqual([15_000, 90_000, 90_000])
  } finally {
    stop.abort()
    await running
    http.close()
    await server.close()
  }
})
