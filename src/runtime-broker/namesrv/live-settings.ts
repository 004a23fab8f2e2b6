import { dirname } from 'node:path'
import { messageOf, OperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import {
  meaningOf,
  type NamesrvSettings,
  namesrvSchema,
  type Properties,
  parseSetting,
  readProperties,
  settingsText,
  writeProperties,
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
   * @throws OperatingError SETTING_INVALID: unknown, takes effect at start only, or no such value
   */
  update(changes: Properties): void {
    const values: Record<string, unknown> = {}
    for (const [key, { value, from }] of changes) {
      const field = Object.hasOwn(namesrvSchema.shape, key) ? namesrvSchema.shape[key as 'listenPort'] : undefined
      if (field === undefined) throw new OperatingError('SETTING_INVALID', { key, fits: 'a key of this NameServer' })
      if (!meaningOf(field).live)
        throw new OperatingError('SETTING_INVALID', { key, fits: 'only a value at the start' })
      values[key] = parseSetting(namesrvSchema, key, value, from)
    }
    this.#current = { ...this.#current, ...values }
    this.#log.info({ settings: values }, 'settings changed by an admin')
    try {
      this.#save(changes)
    } catch (error) {
      this.#log.warn(
        { path: this.#current.configStorePath, err: messageOf(error) },
        'changed settings could not be saved and end with this process',
      )
    }
  }

  /** The previous file stays beside it: comments are not carried over. */
  #save(changes: Properties): void {
    const path = this.#current.configStorePath
    const before = this.#files.exists(path) ? this.#files.readText(path) : undefined
    if (before !== undefined) this.#files.writeText(`${path}.bak`, before)
    else this.#files.makeDirectory(dirname(path))
    const merged = new Map([...readProperties(before ?? '', path), ...changes])
    this.#files.writeText(path, writeProperties([...merged].map(([key, { value }]) => [key, value])))
  }
}
