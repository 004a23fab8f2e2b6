import { homedir, hostname } from 'node:os'
import { resolve } from 'node:path'
import type { Log } from '../base/log.ts'
import type { Network } from '../base/network.ts'

/** What defaults of settings depend on: the machine, its user, and where the process says what it thinks of them. */
export interface Machine {
  hostName: string
  /** The address that others reach this machine at; the loopback address where it has no other. */
  address: string
  /** The environment's NAMESRV_ADDR, as Apache's scripts read it. */
  namesrvAddr: string | undefined
  /** An absolute path: $HOME, ${HOME}, ${user.home} and a leading ~ are the user's home. */
  path(text: string): string
  log: Log
}

export function thisMachine(network: Network, log: Log): Machine {
  return {
    hostName: hostname(),
    address: network.localAddresses()[0] ?? '127.0.0.1',
    namesrvAddr: process.env.NAMESRV_ADDR || undefined,
    path: (text) => expandPath(text, homedir()),
    log,
  }
}

export function expandPath(text: string, home: string): string {
  return resolve(text.replace(/\$HOME\b|\$\{HOME\}|\$\{user\.home\}|^~(?=\/|$)/g, () => home))
}
