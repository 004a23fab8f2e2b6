import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import type { Address, Socket, TlsClientContext, TlsClientMaterial, TlsProblem } from '../base/network.ts'
import { checkPair, type PemSettings, readMaterial, settingError, TlsFiles, tlsReloadPeriodMs } from './tls-files.ts'

/** How a client speaks TLS: Apache's tls.client.* by their last names. An empty path: none. */
export interface ClientTlsSettings {
  /** Whether a server must prove itself; false: any certificate is good. */
  authServer: boolean
  /** PEM file: the authorities of servers; none: those that Node trusts, for the name that was dialled. */
  trustCertPath: string
  /** PEM files: what the client proves itself with, where servers ask for it. */
  certPath: string
  keyPath: string
  keyPassword: string
}

/** Connections with TLS. Its files are read at the first one, and again from time to time: a change needs no restart. */
export class ClientTls {
  readonly #settings: PemSettings
  readonly #doors: Pick<Doors, 'clock' | 'files' | 'network' | 'log'>
  #files: Promise<TlsFiles<TlsClientMaterial, TlsClientContext>> | undefined
  #lookedAtMs = Number.NEGATIVE_INFINITY

  /**
   * @param prefix of the settings' names in messages
   * @throws OperatingError SETTING_INVALID: a certificate without its key, or the other way round
   */
  constructor(settings: ClientTlsSettings, prefix: string, doors: Pick<Doors, 'clock' | 'files' | 'network' | 'log'>) {
    const { authServer, ...paths } = settings
    this.#settings = { ...paths, prefix, checksPeer: authServer }
    this.#doors = doors
    checkPair(this.#settings)
    if (!authServer && settings.trustCertPath !== '')
      doors.log.warn({}, `servers are not checked: ${prefix}authServer is false`)
  }

  /** Reads the files, where that was not done yet. @throws OperatingError SETTING_INVALID: the key, the path, what fits */
  async open(): Promise<void> {
    await this.#open()
  }

  /** @throws OperatingError CONNECT_FAILED, SETTING_INVALID; TLS_FAILED with `remedy` */
  async connect(address: Address, timeoutMs: number): Promise<Socket> {
    const { network, clock } = this.#doors
    const files = await this.#open()
    if (clock.monotonicMs() - this.#lookedAtMs >= tlsReloadPeriodMs) {
      this.#lookedAtMs = clock.monotonicMs()
      await files.reload()
    }
    try {
      return await network.connect(address, timeoutMs, files.context)
    } catch (error) {
      if (!isOperatingError(error, 'TLS_FAILED')) throw error
      throw new OperatingError('TLS_FAILED', {
        ...error.facts,
        remedy: this.#remedyOf(error.facts.problem as TlsProblem),
      })
    }
  }

  #open(): Promise<TlsFiles<TlsClientMaterial, TlsClientContext>> {
    if (this.#files === undefined) {
      const { files, network, log, clock } = this.#doors
      const settings = this.#settings
      this.#files = TlsFiles.open<TlsClientMaterial, TlsClientContext>({
        read: () => readMaterial(settings, files),
        load: (material) =>
          network.tlsClientContext(material).catch((error) => Promise.reject(settingError(error, settings))),
        log,
        path: settings.certPath || settings.trustCertPath,
      })
      this.#lookedAtMs = clock.monotonicMs()
      this.#files.catch(() => {
        this.#files = undefined // the next connection looks again
      })
    }
    return this.#files
  }

  #remedyOf(problem: TlsProblem): string {
    const { trustCertPath, prefix } = this.#settings
    const trusted = trustCertPath === '' ? 'a file' : trustCertPath
    const remedies: Record<TlsProblem, string> = {
      untrusted: `put its authority into ${trusted} (${prefix}trustCertPath), or another certificate into the server's tls.server.certPath`,
      expired: `renew the file of the server's tls.server.certPath`,
      tooEarly: `compare the clocks, or renew the file of the server's tls.server.certPath`,
      name: `dial a name of the certificate, or put its authority into a file (${prefix}trustCertPath)`,
      handshake: `see why in the server's log: it may serve no TLS (tls.server.mode, tls.server.certPath), or not trust the client (${prefix}certPath)`,
    }
    return remedies[problem]
  }
}
