import { isOperatingError, OperatingError } from '../base/errors.ts'
import type { Files } from '../base/files.ts'
import type { Log } from '../base/log.ts'

/** Kubernetes swaps the files of a Secret about once a minute; whoever replaces them by hand should see it work. */
export const tlsReloadPeriodMs = 5_000

interface Source<Material, Context> {
  /** Reads the files, small ones. @throws OperatingError SETTING_INVALID */
  read(): Material
  /** @throws OperatingError SETTING_INVALID */
  load(material: Material): Promise<Context>
  log: Log
  /** What the log names: one of the files. */
  path: string
}

/** TLS material in files that may change: what cannot be used is said once, and what was loaded before stays. */
export class TlsFiles<Material, Context> {
  readonly #source: Source<Material, Context>
  #tried: Material
  #context: Context
  #problem = ''
  #loading: Promise<void> | undefined

  private constructor(source: Source<Material, Context>, material: Material, context: Context) {
    this.#source = source
    this.#tried = material
    this.#context = context
  }

  /** @throws OperatingError SETTING_INVALID */
  static async open<Material, Context>(source: Source<Material, Context>): Promise<TlsFiles<Material, Context>> {
    const material = source.read()
    return new TlsFiles(source, material, await source.load(material))
  }

  get context(): Context {
    return this.#context
  }

  /** Looks whether the files changed. */
  reload(): Promise<void> {
    this.#loading ??= this.#reload().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #reload(): Promise<void> {
    const { read, load, log, path } = this.#source
    try {
      const material = read()
      if (JSON.stringify(material) === JSON.stringify(this.#tried) && this.#problem === '') return
      this.#tried = material
      this.#context = await load(material)
      this.#problem = ''
      log.info({ path }, 'TLS certificate reloaded')
    } catch (error) {
      if (!isOperatingError(error)) throw error
      if (error.message !== this.#problem)
        log.error({ err: error }, 'TLS files cannot be used; the certificate stays as it was')
      this.#problem = error.message
    }
  }
}

/** Settings that name PEM files, of a server or a client. An empty path: none. */
export interface PemSettings {
  prefix: string // of their names: `tls.server.`
  certPath: string
  keyPath: string
  keyPassword: string
  trustCertPath: string
  /** Whether the other side must prove itself: to an authority of trustCertPath or, without one, to a public one. */
  checksPeer: boolean
}

/** @throws OperatingError SETTING_INVALID: a certificate without its key, or the other way round */
export function checkPair({ prefix, certPath, keyPath }: PemSettings): void {
  if ((certPath === '') === (keyPath === '')) return
  const fits = `a PEM file; ${prefix}certPath and ${prefix}keyPath are needed both, or neither`
  const key = `${prefix}${certPath === '' ? 'certPath' : 'keyPath'}`
  throw new OperatingError('SETTING_INVALID', { key, value: '', fits })
}

/**
 * Reads the files. What is not there because no path names it is '', or 'public' for whom to trust: a file that is named and
 * empty, as one that is being replaced, must not turn into that.
 * @throws OperatingError SETTING_INVALID
 */
export function readMaterial(settings: PemSettings, files: Pick<Files, 'readText'>) {
  const text = (name: PathName) => readPem(files, settings, name)
  const { certPath, keyPath, keyPassword, trustCertPath, checksPeer } = settings
  return {
    cert: certPath === '' ? '' : text('certPath'),
    key: keyPath === '' ? '' : text('keyPath'),
    keyPassword,
    trust: !checksPeer ? undefined : trustCertPath === '' ? ('public' as const) : text('trustCertPath'),
  }
}

type PathName = 'certPath' | 'keyPath' | 'trustCertPath'

function fitsOf(name: PathName, prefix: string): string {
  const fits: Record<PathName, string> = {
    certPath: 'a file with a PEM certificate (BEGIN CERTIFICATE)',
    keyPath: `a file with the PEM private key of ${prefix}certPath, and its password in ${prefix}keyPassword if it has one`,
    trustCertPath: 'a file with PEM certificates (BEGIN CERTIFICATE)',
  }
  return fits[name]
}

/** @throws OperatingError SETTING_INVALID */
function readPem(files: Pick<Files, 'readText'>, settings: PemSettings, name: PathName): string {
  const { prefix, [name]: path } = settings
  const key = `${prefix}${name}`
  let text: string
  try {
    text = files.readText(path)
  } catch (cause) {
    const fits = 'the path of a PEM file that this process may read'
    throw new OperatingError('SETTING_INVALID', { key, value: path, fits }, cause)
  }
  if (text.includes('-----BEGIN ')) return text
  throw new OperatingError('SETTING_INVALID', { key, value: path, fits: fitsOf(name, prefix) })
}

const pathOfPart: Record<string, PathName> = { cert: 'certPath', key: 'keyPath', trust: 'trustCertPath' }

/** Says TLS_INVALID as a wrong setting: which file has the part that cannot be used, and what fits. */
export function settingError(error: unknown, settings: PemSettings): unknown {
  const name = isOperatingError(error, 'TLS_INVALID') ? pathOfPart[String(error.facts.part)] : undefined
  if (name === undefined) return error
  const { prefix, [name]: value } = settings
  const facts = { key: `${prefix}${name}`, value, fits: fitsOf(name, prefix) }
  return new OperatingError('SETTING_INVALID', facts, (error as Error).cause)
}
