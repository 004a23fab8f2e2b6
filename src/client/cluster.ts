import type { Doors } from '../base/doors.ts'
import { RemotingClient } from '../remoting/client.ts'
import { ClientTls } from '../remoting/client-tls.ts'
import type { Command, CommandContent } from '../remoting/command.ts'
import { uniqKeys } from '../remoting/message/index.ts'
import type { Request, Response } from '../remoting/server.ts'
import { expectSuccess } from './answers.ts'
import { NameServers, parseNameServers } from './name-servers.ts'
import { productionDoors } from './production-doors.ts'
import { Routes } from './routes.ts'

/** What every client of a cluster may be told. */
export interface ClusterOptions {
  /** NameServers, `host:port` joined by `;`: any of them will do. */
  namesrvAddr: string
  /** How often routes are read again (30,000): new brokers are found within this time. */
  routeRefreshMs?: number
  /** How long an answer to an ordinary request may take (3,000). */
  requestTimeoutMs?: number
  /** How long a connection may take to come about (1,000). */
  connectTimeoutMs?: number
  /** Whether NameServers and brokers are spoken to with TLS (where tls is given). */
  useTLS?: boolean
  /** Or what openTls made of them, for clients that share it. */
  tls?: TlsOptions | ClientTls
}

/** Apache's tls.client.* by their last names. Files are read again when they change. */
export interface TlsOptions {
  /** Whether servers must prove themselves (true); false: any certificate is good, as with Apache's default. */
  authServer?: boolean
  /** PEM file: the authorities of servers. Without it: those that Node trusts, and for the name that is dialled. */
  trustCertPath?: string
  /** PEM files: the certificate for servers that ask for one, and its private key. */
  certPath?: string
  keyPath?: string
  keyPassword?: string
}

/** What a broker may ask of a client, and what it means when a connection goes. */
export interface ClusterEvents {
  onRequest?: (request: Request) => Response | Promise<Response> | undefined
  onClose?: (address: string) => void
}

/** One client's connections, NameServers and routes: what producer, consumer and admin have in common. */
export class Cluster {
  readonly doors: Doors
  readonly remoting: RemotingClient
  readonly nameServers: NameServers
  readonly routes: Routes
  /** Names this client among all of a group, as `ip@pid#chance`. */
  readonly clientId: string
  readonly requestTimeoutMs: number
  /** The next UNIQ_KEY. */
  readonly nextMsgId: () => string

  /** @throws OperatingError SETTING_INVALID when namesrvAddr is no list of addresses, or tls has half of a pair */
  constructor(options: ClusterOptions, doors: Doors, events: ClusterEvents = {}) {
    const { connectTimeoutMs = 1_000, requestTimeoutMs = 3_000, routeRefreshMs = 30_000 } = options
    const addresses = parseNameServers(options.namesrvAddr)
    const ip = doors.network.localAddresses()[0] ?? '127.0.0.1'
    this.doors = doors
    this.requestTimeoutMs = requestTimeoutMs
    this.clientId = `${ip}@${process.pid}#${doors.random.bytes(6).toString('hex')}`
    this.nextMsgId = uniqKeys(ip, process.pid, doors.clock, doors.random)
    this.remoting = new RemotingClient({ connectTimeoutMs, tls: tlsOf(options, doors), ...events }, doors)
    this.nameServers = new NameServers(addresses, this.remoting, doors.random.int(addresses.length))
    this.routes = new Routes(this.nameServers, { refreshMs: routeRefreshMs, timeoutMs: requestTimeoutMs }, doors)
  }

  /** @throws OperatingError REQUEST_REFUSED for any answer but success; CONNECT_FAILED, REQUEST_TIMEOUT… */
  async call(address: string, command: CommandContent, timeoutMs: number = this.requestTimeoutMs): Promise<Command> {
    return expectSuccess(await this.remoting.call(address, command, timeoutMs), command.code, address)
  }

  async close(): Promise<void> {
    this.routes.close()
    await this.remoting.close()
  }
}

/**
 * Reads the files that TLS needs, to learn at once whether they can be used; clients that are given the result share them.
 * @param prefix of the options' names in messages
 * @throws OperatingError SETTING_INVALID: the option, the path and what is wrong with the file
 */
export async function openTls(
  options: TlsOptions,
  doors: Pick<Doors, 'clock' | 'files' | 'network' | 'log'> = productionDoors(),
  prefix = 'tls.',
): Promise<ClientTls> {
  const tls = tlsWith(options, doors, prefix)
  await tls.open()
  return tls
}

function tlsOf({ tls, useTLS = tls !== undefined }: ClusterOptions, doors: Doors): ClientTls | undefined {
  if (!useTLS) return undefined
  return tls instanceof ClientTls ? tls : tlsWith(tls ?? {}, doors, 'tls.')
}

/** A server is checked unless false says that it is not: undefined, and what is no boolean, does not. */
function tlsWith(
  options: TlsOptions,
  doors: Pick<Doors, 'clock' | 'files' | 'network' | 'log'>,
  prefix: string,
): ClientTls {
  const { authServer, trustCertPath = '', certPath = '', keyPath = '', keyPassword = '' } = options
  return new ClientTls(
    { authServer: authServer !== false, trustCertPath, certPath, keyPath, keyPassword },
    prefix,
    doors,
  )
}
