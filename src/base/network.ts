export interface Address {
  host: string
  port: number
}

/** A TCP connection. Bytes arrive in chunks of any cut. */
export interface Socket {
  readonly remote: Address
  readonly local: Address
  /**
   * Sets the one owner of this connection. data and drained may be called many times; closed once, last, with the
   * error where there was one.
   */
  handle(events: { data(chunk: Buffer): void; drained(): void; closed(error?: Error): void }): void
  /** Queues bytes; false: more than the high-water mark waits, write on after `drained`. Nothing happens when closed. */
  write(bytes: Uint8Array): boolean
  /** Bytes queued and not yet taken by the operating system. */
  readonly queuedBytes: number
  pause(): void
  resume(): void
  /** Sends what is queued, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

export interface Listener {
  readonly address: Address
  close(): Promise<void>
}

/** PEM texts that a server proves itself with. */
export interface TlsMaterial {
  cert: string
  key: string
  keyPassword: string // empty: none
  /** Whether clients are asked for a certificate, and closed without one. */
  clientAuth: 'none' | 'optional' | 'require'
  /** Authorities of client certificates; undefined: any certificate is good. */
  trust: string | 'public' | undefined
}

/** Checked material, ready for connections. */
export interface TlsContext {
  readonly isTls: true
}

/** How a listener tells TLS from plain connections: by their first byte. Without it, it does not look. */
export interface ListenerTls {
  servesPlain: boolean
  /** For the next connection; undefined: TLS cannot be served. */
  context(): TlsContext | undefined
  /** A connection was closed before it carried a byte of ours. */
  refused(remote: Address, why: string): void
}

/** The one door to TCP. */
export interface Network {
  /** port 0: any free one. @throws OperatingError LISTEN_FAILED (address in use, …) */
  listen(address: Address, accept: (socket: Socket) => void, tls?: ListenerTls): Promise<Listener>
  /**
   * @param handshakeTimeoutMs from a client's first byte, however slowly the rest drips
   * @throws OperatingError TLS_INVALID: part (cert, key, trust)
   */
  tlsContext(material: TlsMaterial, handshakeTimeoutMs: number): Promise<TlsContext>
  /** @throws OperatingError CONNECT_FAILED after timeoutMs at the latest */
  connect(address: Address, timeoutMs: number): Promise<Socket>
  /** IPv4 and IPv6 addresses of a host name, an address as it is. @throws OperatingError RESOLVE_FAILED */
  resolve(host: string): Promise<string[]>
  /** Non-loopback addresses of this machine, IPv4 first. */
  localAddresses(): string[]
}
