import { isOperatingError, OperatingError } from '../base/errors.ts'
import { parseAddress } from '../remoting/address.ts'
import type { RemotingClient } from '../remoting/client.ts'
import type { Command, CommandContent } from '../remoting/command.ts'
import { expectSuccess } from './answers.ts'

/**
 * Reads a list of NameServers, `host:port` joined by `;` or `,`.
 * @throws OperatingError SETTING_INVALID
 */
export function parseNameServers(namesrvAddr: string): string[] {
  const given = typeof namesrvAddr === 'string' ? namesrvAddr : '' // who writes JavaScript may have left it out
  const addresses = given
    .split(/[;,]/)
    .map((text) => text.trim())
    .filter((text) => text !== '')
  if (addresses.length === 0 || !addresses.every((text) => parseAddress(text) !== undefined)) {
    throw new OperatingError('SETTING_INVALID', { key: 'namesrvAddr', value: namesrvAddr, fits: 'host:port;host:port' })
  }
  return addresses
}

/** The NameServers of one list: any of them answers for all. */
export class NameServers {
  readonly addresses: readonly string[]
  readonly #remoting: RemotingClient
  #current: number

  /** @param first index of the one that is asked first; others follow when it fails */
  constructor(addresses: readonly string[], remoting: RemotingClient, first: number) {
    this.addresses = addresses
    this.#remoting = remoting
    this.#current = first
  }

  /**
   * Asks one NameServer after the other, from the last that worked, until one answers with success. A refusal counts as
   * a failure too: one that just started does not know yet what the others know.
   * @param timeoutMs for each
   * @throws OperatingError REQUEST_REFUSED where one refused, else what the last one asked came to
   */
  async call(command: CommandContent, timeoutMs: number): Promise<Command> {
    let failure: unknown
    for (let attempt = 0; attempt < this.addresses.length; attempt++) {
      const at = this.#current
      const address = this.addresses[at]!
      try {
        return expectSuccess(await this.#remoting.call(address, command, timeoutMs), command.code, address)
      } catch (error) {
        if (!isOperatingError(failure, 'REQUEST_REFUSED')) failure = error
        if (this.#current === at) this.#current = (at + 1) % this.addresses.length
      }
    }
    throw failure
  }
}
