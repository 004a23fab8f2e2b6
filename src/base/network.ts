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
   * error where there was one. An owner that borrows has a chunk until data returns, then other bytes may take its place.
   */
  handle(events: { data(chunk: Buffer): void; drained(): void; closed(error?: Error): void; borrows?: boolean }): void
  /**
   * Queues bytes; false: more than the high-water mark waits, write on after `drained`. Nothing happens when closed. bytes must not
   * change until they are taken; they are where queuedBytes is 0 afterwards.
   */
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
  /** When the certificate is valid no more: ms since 1970. */
  readonly validToMs: number
}

/** PEM texts that a client proves itself with, and whom it trusts. */
export interface TlsClientMaterial {
  cert: string // empty: none, and no key
  key: string
  keyPassword: string // empty: none
  /**
   * Authorities of servers, whose name or address does not matter then. 'public': whom Node trusts, and the name must be
   * the certificate's: anybody gets one of those. undefined: any certificate is good.
   */
  trust: string | 'public' | undefined
}

/**
 * Why a server was not trusted: its certificate is not of an authority that is (untrusted), is not valid today (expired,
 * tooEarly), is for another name (name); or the server speaks no TLS, or refused (handshake).
 */
export type TlsProblem = 'untrusted' | 'expired' | 'tooEarly' | 'name' | 'handshake'

/** Checked material, ready for connections to servers. */
export interface TlsClientContext {
  readonly isTlsClient: true
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
  /** As tlsContext, for connect. @throws OperatingError TLS_INVALID: part (cert, key, trust) */
  tlsClientContext(material: TlsClientMaterial): Promise<TlsClientContext>
  /**
   * @param tls with it the promise resolves after the handshake, with whom it trusts
   * @throws OperatingError CONNECT_FAILED after timeoutMs at the latest; TLS_FAILED: problem (of TlsProblem), detail
   */
  connect(address: Address, timeoutMs: number, tls?: TlsClientContext): Promise<Socket>
  /** IPv4 and IPv6 addresses of a host name, an address as it is. @throws OperatingError RESOLVE_FAILED */
  resolve(host: string): Promise<string[]>
  /** Non-loopback addresses of this machine, IPv4 first. */
  localAddresses(): string[]
}
