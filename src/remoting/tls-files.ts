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

/** The text of the PEM file at path, which a setting named. @throws OperatingError SETTING_INVALID */
export function readPem(files: Pick<Files, 'readText'>, key: string, path: string): string {
  try {
    return files.readText(path)
  } catch (cause) {
    const fits = 'the path of a PEM file that this process may read'
    throw new OperatingError('SETTING_INVALID', { key, value: path, fits }, cause)
  }
}

/** Says TLS_INVALID as a wrong setting: which file has the part (cert, key, trust) that cannot be used, and what fits. */
export function tlsSettingError(
  error: unknown,
  settingOf: Readonly<Record<string, { key: string; path: string; fits: string }>>,
): unknown {
  const file = isOperatingError(error, 'TLS_INVALID') ? settingOf[String(error.facts.part)] : undefined
  if (file === undefined) return error
  const { key, path, fits } = file
  return new OperatingError('SETTING_INVALID', { key, value: path, fits }, (error as Error).cause)
}
