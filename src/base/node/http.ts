import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { AddressInfo } from 'node:net'
import { OperatingError } from '../errors.ts'
import type { HttpClient, HttpListen, HttpRequest, HttpResponse, HttpServerReply } from '../http.ts'

/** An HTTP client with its own connection pools: one for plain requests, one for each set of TLS material. */
export function createHttpClient(): HttpClient {
  const plain = new http.Agent({ keepAlive: true })
  const secure = new Map<string, https.Agent>()

  function agentFor(tls: HttpRequest['tls']): https.Agent {
    const key = JSON.stringify(tls ?? {})
    let agent = secure.get(key)
    if (agent === undefined) {
      agent = new https.Agent({
        keepAlive: true,
        ...(tls?.ca !== undefined && { ca: tls.ca }),
        ...(tls?.cert !== undefined && { cert: tls.cert }),
        ...(tls?.key !== undefined && { key: tls.key }),
        ...(tls?.serverName !== undefined && { servername: tls.serverName }),
        ...(tls?.insecure === true && { rejectUnauthorized: false }),
      })
      if (secure.size >= agentCountMax) closeOldest(secure)
      secure.set(key, agent)
    }
    return agent
  }

  return {
    request: (wanted) => send(wanted, wanted.url.startsWith('https:') ? agentFor(wanted.tls) : plain),
    close() {
      plain.destroy()
      for (const agent of secure.values()) agent.destroy()
      secure.clear()
    },
  }
}

const agentCountMax = 16 // rotated credentials leave old pools behind

function closeOldest(agents: Map<string, https.Agent>): void {
  const [oldest] = agents
  if (oldest === undefined) return
  oldest[1].destroy()
  agents.delete(oldest[0])
}

function send(wanted: HttpRequest, agent: http.Agent | https.Agent): Promise<HttpResponse> {
  const { method, url, body, timeoutMs, signal } = wanted
  let silence: Error | undefined // a body that is cut knows no reason of its own
  const failed = (cause: unknown) => new OperatingError('HTTP_FAILED', { method, url }, silence ?? cause)
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(failed(signal.reason))
    const headers: Record<string, string> = { ...wanted.headers }
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    const start = url.startsWith('https:') ? https.request : http.request
    const request = start(url, { method, headers, agent }, (response) => {
      resolve({
        status: response.statusCode ?? 0,
        headers: Object.fromEntries(
          Object.entries(response.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(', ') : (value ?? ''),
          ]),
        ),
        body: chunks(response, request, failed),
      })
    })
    request.setTimeout(timeoutMs, () => {
      silence = new Error(`nothing came for ${timeoutMs} ms`)
      request.destroy(silence)
    })
    request.on('error', (cause) => reject(failed(cause)))
    const stop = () => request.destroy(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
    signal?.addEventListener('abort', stop, { once: true })
    request.on('close', () => signal?.removeEventListener('abort', stop))
    request.end(body)
  })
}

async function* chunks(
  response: http.IncomingMessage,
  request: http.ClientRequest,
  failed: (cause: unknown) => OperatingError,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer
  } catch (cause) {
    throw failed(cause)
  } finally {
    if (!response.complete) request.destroy()
  }
}

export const listenHttp: HttpListen = async ({ host, port, tls, bodyBytesMax }, handle) => {
  const onRequest = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const reply = replyOn(response)
    try {
      await handle(
        {
          method: request.method ?? 'GET',
          url: request.url ?? '/',
          headers: Object.fromEntries(
            Object.entries(request.headers).map(([name, value]) => [
              name,
              Array.isArray(value) ? value.join(', ') : (value ?? ''),
            ]),
          ),
          body: () => readBody(request, bodyBytesMax),
          signal: gone.signal,
        },
        reply,
      )
    } catch (error) {
      if (response.headersSent) response.destroy()
      else
        response
          .writeHead(500, { 'content-type': 'text/plain' })
          .end(`${error instanceof Error ? error.message : error}\n`)
    }
  }
  const server = tls ? https.createServer({ ...tls }, onRequest) : http.createServer(onRequest)
  server.requestTimeout = requestTimeoutMs
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new OperatingError('LISTEN_FAILED', { host, port }, cause)))
    server.listen({ host, port }, resolve)
  })
  const bound = server.address() as AddressInfo
  return {
    address: { host: bound.address, port: bound.port },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

const requestTimeoutMs = 60_000 // until a request has come in whole; answers may take as long as they like

async function readBody(request: http.IncomingMessage, bodyBytesMax: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request) {
    bytes += (part as Buffer).length
    if (bytes > bodyBytesMax) throw new OperatingError('HTTP_BODY_TOO_LARGE', { bodyBytesMax, url: request.url })
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts)
}

function replyOn(response: http.ServerResponse): HttpServerReply {
  return {
    start: (status, headers) => void response.writeHead(status, headers).flushHeaders(),
    write: (chunk) => response.write(chunk),
    async drained() {
      if (response.writableNeedDrain) await Promise.race([once(response, 'drain'), once(response, 'close')])
    },
    end: (chunk) => void response.end(chunk),
  }
}
