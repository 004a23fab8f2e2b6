import { messageOf, OperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import {
  meaningOf,
  type NamesrvSettings,
  namesrvSchema,
  otherNamesrvKeys,
  type Properties,
  parseSetting,
  saveChangedSettings,
  settingsText,
  whyIgnored,
} from '../../tunables/index.ts'

const alwaysProtected = ['configBlackList', 'configStorePath', 'kvConfigPath', 'rocketmqHome']

/** A NameServer's settings, which admins may change while it runs. */
export class LiveSettings {
  readonly #files: Files
  readonly #log: Log
  #current: NamesrvSettings

  constructor(settings: NamesrvSettings, files: Files, log: Log) {
    this.#current = settings
    this.#files = files
    this.#log = log
  }

  get current(): Readonly<NamesrvSettings> {
    return this.#current
  }

  text(): string {
    return settingsText(namesrvSchema, this.#current)
  }

  isProtected(key: string): boolean {
    return alwaysProtected.includes(key) || this.#current.configBlackList.split(';').some((name) => name.trim() === key)
  }

  /**
   * Applies changes at once, all or none, and writes them to configStorePath. Where that file cannot be written, as in a
   * mounted ConfigMap, they hold until the process ends; the log says so.
   * @throws OperatingError SETTING_INVALID: unknown, without effect here, takes effect at start only, or no such value
   */
  update(changes: Properties): void {
    const values: Record<string, unknown> = {}
    for (const [key, { value, from }] of changes) {
      const ignored = whyIgnored(namesrvSchema, otherNamesrvKeys, key)
      if (ignored?.is === 'inert')
        throw new OperatingError('SETTING_INVALID', { key, fits: 'nothing: it has no effect in this NameServer' })
      if (ignored !== undefined) throw new OperatingError('SETTING_INVALID', { key, fits: 'a key of this NameServer' })
      if (!meaningOf(namesrvSchema.shape[key as 'listenPort']).live)
        throw new OperatingError('SETTING_INVALID', { key, fits: 'only a value at the start' })
      values[key] = parseSetting(namesrvSchema, key, value, from)
    }
    this.#current = { ...this.#current, ...values }
    this.#log.info({ settings: values }, 'settings changed by an admin')
    try {
      saveChangedSettings(this.#current.configStorePath, changes, this.#files)
    } catch (error) {
      this.#log.warn(
        { path: this.#current.configStorePath, err: messageOf(error) },
        'changed settings could not be saved and end with this process',
      )
    }
  }
}
