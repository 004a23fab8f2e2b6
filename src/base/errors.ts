/** Every error a healthy program expects: one row, one meaning, one retry rule. Whatever else is thrown is a bug. */
export const errorTable = {
  // files, network, HTTP
  FILE_FAILED: { says: 'the operating system refused a file operation', retriable: true },
  LISTEN_FAILED: { says: 'the address cannot be listened on', retriable: true },
  CONNECT_FAILED: { says: 'no connection to the address could be made', retriable: true },
  RESOLVE_FAILED: { says: 'the host name has no address', retriable: true },
  TLS_INVALID: { says: 'a certificate or a private key cannot be used', retriable: false },
  TLS_FAILED: { says: 'no TLS connection to the address could be made', retriable: true },
  HTTP_FAILED: { says: 'an HTTP request got no complete answer', retriable: true },
  HTTP_BODY_TOO_LARGE: { says: 'an HTTP body is larger than allowed', retriable: false },
  DEADLINE_EXCEEDED: { says: 'something did not finish in the time given to it', retriable: true },
  // settings
  SETTING_INVALID: { says: 'a setting has a value that does not fit', retriable: false },
  // remoting
  FRAME_TOO_LARGE: { says: 'a frame is longer than frameBytesMax', retriable: false },
  FRAME_INVALID: { says: 'bytes that are no RocketMQ frame', retriable: false },
  HEADER_INVALID: { says: 'a header lacks a field or holds one that does not parse', retriable: false },
  BODY_INVALID: { says: 'a body does not have the form that its code asks for', retriable: false },
  CONNECTION_CLOSED: { says: 'the connection closed before the answer came', retriable: true },
  REQUEST_TIMEOUT: { says: 'no answer came in time', retriable: true },
  TOO_MANY_REQUESTS: { says: 'more requests are under way on this connection than allowed', retriable: true },
  REQUEST_REFUSED: { says: 'the peer answered with an error code', retriable: false },
  // NameServer
  KV_CONFIG_FULL: { says: 'the key-value settings have as many entries as they may', retriable: false },
  // store
  STORE_FULL: { says: 'the commit log volume is above its high-water mark', retriable: true },
  STORE_LOCKED: { says: 'another process holds the store directory', retriable: true },
  STORE_CORRUPT: { says: 'a file of the store is not what its format says', retriable: false },
  STORE_CLOSED: { says: 'the store is not open for writing', retriable: true },
  MESSAGE_ILLEGAL: { says: 'the message breaks a limit of the broker', retriable: false },
  // client
  TOPIC_NOT_FOUND: { says: 'no broker has the topic', retriable: true },
  PARTLY_DONE: { says: 'some brokers or NameServers did what was asked and others did not', retriable: true },
  SEND_FAILED: { says: 'no broker stored the message', retriable: true },
  // kubernetes
  KUBE_REFUSED: { says: 'the Kubernetes API server answered with an error', retriable: true },
  KUBE_CONFIG_INVALID: { says: 'no usable Kubernetes configuration', retriable: false },
  CRDS_MISSING: { says: 'the custom resource definitions are not installed', retriable: true },
  NAME_TAKEN: { says: 'an object of the name that is needed belongs to somebody else', retriable: true },
  BROKER_FAILED: { says: 'a broker did not do what the operator asked of it', retriable: true },
} as const satisfies Record<string, { says: string; retriable: boolean }>

export type ErrorCode = keyof typeof errorTable

/** An error that a healthy program expects: a code of errorTable, facts, and what caused it. Nobody parses its message. */
export class OperatingError extends Error {
  override readonly name = 'OperatingError'
  readonly code: ErrorCode
  readonly facts: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, facts: Record<string, unknown> = {}, cause?: unknown) {
    super(`${code}: ${errorTable[code].says} ${describe(facts, cause)}`.trimEnd(), cause === undefined ? {} : { cause })
    this.code = code
    this.facts = facts
  }

  get retriable(): boolean {
    return errorTable[this.code].retriable
  }
}

export function isOperatingError(error: unknown, code?: ErrorCode): error is OperatingError {
  return error instanceof OperatingError && (code === undefined || error.code === code)
}

/** The words of whatever was thrown, for a remark, a condition or a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function describe(facts: Record<string, unknown>, cause: unknown): string {
  const parts = Object.entries(facts).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  if (cause !== undefined) parts.push(`cause=${messageOf(cause)}`)
  return parts.length > 0 ? `(${parts.join(', ')})` : ''
}
