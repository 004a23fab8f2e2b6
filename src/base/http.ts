export interface HttpRequest {
  method: string
  url: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  /** PEM texts: certificate authorities to trust instead of the system's, client certificate and key. */
  tls?: { ca?: string; cert?: string; key?: string; serverName?: string; insecure?: boolean }
  /** Until the response's headers, and between two chunks of its body. */
  timeoutMs: number
  signal?: AbortSignal
}

export interface HttpResponse {
  status: number
  headers: Record<string, string> // names in lower case
  /** Must be read to its end or returned from (`for await … break`), else the connection is held. */
  body: AsyncIterable<Buffer>
}

/** The door for HTTP clients (the Kubernetes API is the one server they talk to). */
export interface HttpClient {
  /** @throws OperatingError HTTP_FAILED: no connection, no answer in time, or cut short. Statuses are answers, not errors. */
  request(request: HttpRequest): Promise<HttpResponse>
  /** Drops idle connections. */
  close(): void
}

export interface HttpServerRequest {
  method: string
  /** Path and query, as sent. */
  url: string
  headers: Record<string, string>
  /** The whole body. @throws OperatingError HTTP_BODY_TOO_LARGE above bodyBytesMax */
  body(): Promise<Buffer>
  /** Aborted when the peer goes away. */
  signal: AbortSignal
}

export interface HttpServerReply {
  /** Sends status and headers; then any number of write, one end. */
  start(status: number, headers: Record<string, string>): void
  /** false: the peer reads slowly; wait for drained before writing on. */
  write(chunk: string | Uint8Array): boolean
  drained(): Promise<void>
  end(chunk?: string | Uint8Array): void
}

export interface HttpServer {
  readonly address: { host: string; port: number }
  close(): Promise<void>
}

/** The door for HTTP servers: metrics and health, and the local cluster's API server. */
export type HttpListen = (
  options: { host: string; port: number; tls?: { cert: string; key: string }; bodyBytesMax: number },
  handle: (request: HttpServerRequest, reply: HttpServerReply) => void | Promise<void>,
) => Promise<HttpServer>
