import type { Doors } from '../../base/doors.ts'
import { messageOf, OperatingError } from '../../base/errors.ts'
import { formatAddress, parseAddress } from '../../remoting/address.ts'

/** One host:port of namesrvAddr. */
interface Name {
  addresses: readonly string[] | undefined // ip:port, as of the last lookup that succeeded
  failure: string | undefined // of the last lookup
  lookup: Promise<void> | undefined
}

/**
 * Which addresses the names of namesrvAddr have now. Each name is looked up on its own, so that one whose DNS server
 * does not answer holds up no other; while a lookup fails, the name's last answer holds.
 */
export class NamesrvNames {
  readonly #texts: () => readonly string[]
  readonly #onChange: () => void
  readonly #doors: Pick<Doors, 'network' | 'log'>
  readonly #names = new Map<string, Name>()

  /**
   * @param texts the parts of namesrvAddr, as it is now
   * @param onChange told when the addresses are, or may be, others than before
   */
  constructor(texts: () => readonly string[], onChange: () => void, doors: Pick<Doors, 'network' | 'log'>) {
    this.#texts = texts
    this.#onChange = onChange
    this.#doors = doors
  }

  /** Looks all names up again; resolves when each has its answer. */
  async resolve(): Promise<void> {
    const texts = this.#texts()
    let hasLeft = false
    for (const text of this.#names.keys()) {
      if (!texts.includes(text)) hasLeft = this.#names.delete(text) || hasLeft
    }
    const lookups = texts.map((text) => {
      let name = this.#names.get(text)
      if (name === undefined) {
        this.#names.set(text, (name = { addresses: undefined, failure: undefined, lookup: undefined }))
      }
      return this.#lookUp(text, name)
    })
    if (hasLeft) this.#onChange()
    await Promise.all(lookups)
  }

  /** address → the name that has it */
  addresses(): Map<string, string> {
    const addresses = new Map<string, string>()
    for (const [text, name] of this.#names) for (const address of name.addresses ?? []) addresses.set(address, text)
    return addresses
  }

  /** Names whose last lookup failed or that have not been looked up yet. */
  get unresolved(): string[] {
    return [...this.#names].filter(([, name]) => name.addresses === undefined || name.failure).map(([text]) => text)
  }

  #lookUp(text: string, name: Name): Promise<void> {
    name.lookup ??= this.#ask(text, name).finally(() => {
      name.lookup = undefined
    })
    return name.lookup
  }

  async #ask(text: string, name: Name): Promise<void> {
    const { network, log } = this.#doors
    const before = `${name.addresses} ${name.failure === undefined}`
    try {
      const named = parseAddress(text)
      if (named === undefined) throw new OperatingError('RESOLVE_FAILED', { address: text, fits: 'host:port' })
      const hosts = await network.resolve(named.host)
      name.addresses = hosts.map((host) => formatAddress({ host, port: named.port })).sort()
      name.failure = undefined
    } catch (error) {
      const failure = messageOf(error)
      if (name.failure === undefined) log.warn({ namesrvAddr: text, err: failure }, 'NameServer name does not resolve')
      name.failure = failure
    }
    const isNamed = this.#names.get(text) === name
    if (isNamed && `${name.addresses} ${name.failure === undefined}` !== before) this.#onChange()
  }
}
