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

/** The one door to TCP. */
export interface Network {
  /** port 0: any free one. @throws OperatingError LISTEN_FAILED (address in use, …) */
  listen(address: Address, accept: (socket: Socket) => void): Promise<Listener>
  /** @throws OperatingError CONNECT_FAILED after timeoutMs at the latest */
  connect(address: Address, timeoutMs: number): Promise<Socket>
  /** IPv4 and IPv6 addresses of a host name, an address as it is. @throws OperatingError RESOLVE_FAILED */
  resolve(host: string): Promise<string[]>
  /** Non-loopback addresses of this machine, IPv4 first. */
  localAddresses(): string[]
}
