import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import * as tls from 'node:tls'
import { OperatingError } from '../errors.ts'
import type { Address, TlsClientContext, TlsClientMaterial, TlsProblem } from '../network.ts'
import { checked } from './tls.ts'

/** The client's side of TLS. */
export class NodeTlsClientContext implements TlsClientContext {
  readonly isTlsClient = true
  readonly #secureContext: tls.SecureContext
  readonly #trust: TlsClientMaterial['trust']

  /** @throws OperatingError TLS_INVALID */
  constructor({ cert, key, keyPassword, trust }: TlsClientMaterial) {
    if (cert !== '') {
      checked('cert', () => new X509Certificate(cert))
      checked('key', () => createPrivateKey({ key, passphrase: keyPassword }))
    }
    if (trust !== undefined && trust !== 'public') checked('trust', () => new X509Certificate(trust))
    this.#trust = trust
    this.#secureContext = checked('key', () =>
      tls.createSecureContext({
        ...(cert !== '' && { cert, key, passphrase: keyPassword }),
        ...(trust !== undefined && trust !== 'public' && { ca: trust, allowPartialTrustChain: true }), // as Java: whatever is in the file is trusted
      }),
    )
  }

  /** @throws OperatingError CONNECT_FAILED before there was a connection, TLS_FAILED after that */
  connect(address: Address, timeoutMs: number): Promise<tls.TLSSocket> {
    return new Promise((resolve, reject) => {
      const isName = isIP(address.host) === 0
      let isConnected = false
      const socket = tls.connect({
        host: address.host,
        port: address.port,
        ...(isName && { servername: address.host }),
        secureContext: this.#secureContext,
        rejectUnauthorized: false, // #problemOf decides, and can say more
        checkServerIdentity: () => undefined,
      })
      const end = (error: OperatingError) => {
        clearTimeout(deadline)
        socket.on('error', () => {}) // one more may follow
        socket.destroy()
        reject(error)
      }
      const fail = (cause: Error) =>
        end(
          isConnected
            ? failure(address, 'handshake', cause.message)
            : new OperatingError('CONNECT_FAILED', { ...address, timeoutMs }, cause),
        )
      const deadline = setTimeout(() => fail(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
      const closed = () => fail(new Error('the server closed the connection during the handshake'))
      socket.once('connect', () => (isConnected = true))
      socket.once('error', fail)
      socket.once('close', closed)
      socket.once('secureConnect', () => {
        const problem = this.#problemOf(socket, address)
        if (problem !== undefined) {
          end(problem)
          return
        }
        clearTimeout(deadline)
        socket.removeListener('error', fail)
        socket.removeListener('close', closed)
        resolve(socket)
      })
    })
  }

  #problemOf(socket: tls.TLSSocket, address: Address): OperatingError | undefined {
    if (this.#trust === undefined) return undefined
    const certificate = socket.getPeerCertificate()
    const who = `certificate of CN=${certificate.subject?.CN ?? ''}`
    if (!socket.authorized) {
      const code = String(socket.authorizationError) // its type says Error, but it is the code
      const dates = `valid from ${certificate.valid_from} to ${certificate.valid_to}`
      if (code === 'CERT_HAS_EXPIRED') return failure(address, 'expired', `${who} is ${dates}`)
      if (code === 'CERT_NOT_YET_VALID') return failure(address, 'tooEarly', `${who} is ${dates}`)
      return failure(address, 'untrusted', `${who}, issued by CN=${certificate.issuer?.CN ?? ''}: ${code}`)
    }
    if (this.#trust !== 'public') return undefined
    const mismatch = tls.checkServerIdentity(address.host, certificate)
    return mismatch && failure(address, 'name', mismatch.message)
  }
}

function failure(address: Address, problem: TlsProblem, detail: string): OperatingError {
  return new OperatingError('TLS_FAILED', { ...address, problem, detail })
}
