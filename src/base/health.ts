import type { HttpListen, HttpServer } from './http.ts'

export interface HealthOptions {
  host: string
  port: number // 0: any free one
  /** Why the role cannot serve yet, or no longer; undefined: it can. */
  notReady: () => string | undefined
  /** Why only a restart would help; undefined: nothing is wrong. */
  stuck?: () => string | undefined
  /** In Prometheus' text format. */
  metrics?: () => string | Promise<string>
}

/**
 * Answers probes: /livez is 200 while this process handles events at all, unless it is stuck; /readyz is 200 when it can
 * serve. Either is 503 with the reason when not.
 * @throws OperatingError LISTEN_FAILED
 */
export function startHealth(options: HealthOptions, listenHttp: HttpListen): Promise<HttpServer> {
  const { host, port, notReady, stuck = () => undefined, metrics } = options
  return listenHttp({ host, port, bodyBytesMax: 0 }, async (request, reply) => {
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8') => {
      reply.start(status, { 'content-type': type, 'cache-control': 'no-store' })
      reply.end(request.method === 'HEAD' ? undefined : text)
    }
    const answerUnless = (reason: string | undefined) =>
      reason === undefined ? answer(200, 'ok\n') : answer(503, `${reason}\n`)
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'GET is all there is\n')
    switch (request.url.split('?', 1)[0]) {
      case '/livez':
        return answerUnless(stuck())
      case '/readyz':
        return answerUnless(notReady())
      case '/metrics':
        if (metrics !== undefined) return answer(200, await metrics(), 'text/plain; version=0.0.4; charset=utf-8')
    }
    return answer(404, 'not found; there are /livez, /readyz and /metrics\n')
  })
}
