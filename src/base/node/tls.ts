import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import * as tls from 'node:tls'
import { OperatingError } from '../errors.ts'
import type { TlsContext, TlsMaterial } from '../network.ts'

interface Upgrade {
  done(secure: tls.TLSSocket): void
  refuse(why: string): void
}

/** The server's side of TLS for sockets that a listener accepted; it listens nowhere itself. */
export class NodeTlsContext implements TlsContext {
  readonly isTls = true
  readonly validToMs: number
  readonly #server: tls.Server
  /** Handshakes under way, by the client's address: a listener has accepted each of them, and has a limit. */
  readonly #upgrades = new Map<string, Upgrade>()

  /** @throws OperatingError TLS_INVALID */
  constructor(material: TlsMaterial, handshakeTimeoutMs: number) {
    const { cert, key, keyPassword, clientAuth, trust } = material
    this.validToMs = checked('cert', () => Date.parse(new X509Certificate(cert).validTo))
    checked('key', () => createPrivateKey({ key, passphrase: keyPassword }))
    if (trust !== undefined && trust !== 'public') checked('trust', () => new X509Certificate(trust))
    const options: tls.TlsOptions = {
      cert,
      key,
      passphrase: keyPassword,
      ...(trust !== undefined && trust !== 'public' && { ca: trust }),
      requestCert: clientAuth !== 'none',
      rejectUnauthorized: false, // refusalOf decides
      secureOptions:
        // Node says that a client asks for too many handshakes, and goes on making them.
        constants.SSL_OP_NO_RENEGOTIATION |
        // A resumed session would skip the look at the certificate, and outlive a change of the authorities.
        (clientAuth === 'none' ? 0 : constants.SSL_OP_NO_TICKET),
      handshakeTimeout: handshakeTimeoutMs,
    }
    this.#server = checked('key', () => tls.createServer(options))
    this.#server.on('secureConnection', (secure) => {
      const upgrade = this.#upgrades.get(keyOf(secure))
      const refusal = refusalOf(secure, material)
      if (upgrade === undefined) secure.destroy()
      else if (refusal !== undefined) upgrade.refuse(refusal)
      else upgrade.done(secure)
    })
    this.#server.on('tlsClientError', (error, secure) => {
      this.#upgrades.get(keyOf(secure))?.refuse(`no TLS handshake: ${error.message}`)
    })
  }

  /** Does the handshake on a paused socket whose bytes were put back; `done` gets what carries the plain bytes. */
  accept(socket: Socket, refuse: (why: string) => void, done: (secure: tls.TLSSocket) => void): void {
    const key = keyOf(socket)
    const end = () => {
      if (this.#upgrades.get(key) === upgrade) this.#upgrades.delete(key)
    }
    const upgrade: Upgrade = {
      done(secure) {
        end()
        done(secure)
      },
      refuse(why) {
        end()
        refuse(why)
      },
    }
    this.#upgrades.set(key, upgrade)
    socket.once('close', end)
    this.#server.emit('connection', socket)
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}

function refusalOf(secure: tls.TLSSocket, { clientAuth, trust }: TlsMaterial): string | undefined {
  if (clientAuth === 'none') return undefined
  const isGiven = Object.keys(secure.getPeerCertificate()).length > 0
  if (!isGiven) return clientAuth === 'require' ? 'no client certificate, and one is required' : undefined
  if (trust === undefined || secure.authorized) return undefined
  return `the client certificate is not trusted: ${secure.authorizationError}`
}

export function checked<T>(part: 'cert' | 'key' | 'trust', make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new OperatingError('TLS_INVALID', { part }, cause)
  }
}
