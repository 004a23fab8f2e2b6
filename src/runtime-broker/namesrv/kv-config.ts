import { dirname } from 'node:path'
import { OperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import { Fields, textItem } from '../../remoting/body/fields.ts'
import { writeJson } from '../../remoting/json.ts'

/** Namespace of the topics whose queues are counted by hand. */
export const orderTopicNamespace = 'ORDER_TOPIC_CONFIG'

const entriesMax = 100_000 // far above what anybody orders by hand; keeps a mad client from filling memory and disk

/**
 * Texts by namespace and key: the one thing that a NameServer keeps on disk, whole after each change.
 * Source: Apache RocketMQ 5, KVConfigManager and its kvConfig.json.
 */
export class KvConfig {
  readonly #path: string
  readonly #files: Files
  readonly #table: Map<string, Map<string, string>>

  /** @throws OperatingError STORE_CORRUPT: starting without order topics would break orders silently */
  constructor(path: string, files: Files) {
    this.#path = path
    this.#files = files
    this.#table = files.exists(path) ? readTable(path, files.readText(path)) : new Map()
  }

  get(namespace: string, key: string): string | undefined {
    return this.#table.get(namespace)?.get(key)
  }

  /** undefined: no such namespace, or an empty one. */
  namespace(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#table.get(namespace)
  }

  /** @throws OperatingError FILE_FAILED, KV_CONFIG_FULL: nothing has changed then */
  put(namespace: string, key: string, value: string): void {
    const before = this.#table.get(namespace)
    if (before?.get(key) === value) return
    const count = [...this.#table.values()].reduce((sum, { size }) => sum + size, 0)
    if (count >= entriesMax && !before?.has(key)) throw new OperatingError('KV_CONFIG_FULL', { entriesMax })
    this.#replace(namespace, new Map([...(before ?? []), [key, value]]))
  }

  /** @throws OperatingError FILE_FAILED: nothing has changed then */
  delete(namespace: string, key: string): void {
    const before = this.#table.get(namespace)
    if (!before?.has(key)) return
    this.#replace(namespace, new Map([...before].filter(([name]) => name !== key)))
  }

  /** The disk first: what was acknowledged survives a restart. */
  #replace(namespace: string, entries: Map<string, string>): void {
    const configTable = new Map(this.#table).set(namespace, entries)
    if (entries.size === 0) configTable.delete(namespace)
    this.#files.makeDirectory(dirname(this.#path))
    this.#files.writeText(this.#path, writeJson({ configTable }))
    if (entries.size === 0) this.#table.delete(namespace)
    else this.#table.set(namespace, entries)
  }
}

function readTable(path: string, json: string): Map<string, Map<string, string>> {
  try {
    const texts = textItem('configTable')
    return Fields.of('KVConfigSerializeWrapper', json).table('configTable', (entries) =>
      new Fields('configTable', { entries }).table('entries', texts),
    )
  } catch (cause) {
    throw new OperatingError('STORE_CORRUPT', { path }, cause)
  }
}
