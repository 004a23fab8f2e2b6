import type { OperatingError } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import { ManualClock } from '../../base/testing/clock.ts'
import { MemoryNetwork, type MemorySocket } from '../../base/testing/network.ts'
import { RemotingClient, type RemotingClientOptions } from '../client.ts'
import { ResponseCode } from '../codes.ts'
import type { Command } from '../command.ts'
import { encodeCommand, FrameDecoder } from '../frame.ts'
import { type Connection, type Handler, type ServerOptions, startServer } from '../server.ts'

const listen = { host: '10.0.0.1', port: 10911 }
export const address = '10.0.0.1:10911'
export const echo: Handler = ({ extFields, body }) => ({ code: ResponseCode.SUCCESS, extFields, body })

/** A server and a client on one network in memory, under one clock. */
export async function startPair(
  options: Partial<ServerOptions> & { handle: Handler },
  clientOptions: RemotingClientOptions = {},
) {
  const doors = { clock: new ManualClock(), network: new MemoryNetwork(), log: silentLog }
  const server = await startServer({ listen, ...options }, doors)
  const client = new RemotingClient(clientOptions, doors)
  const connections = () => [...server.connections] as Connection[]
  return { ...doors, server, client, connections }
}

/** A peer that writes bytes by hand and collects what comes back. */
export async function rawPeer(network: MemoryNetwork) {
  const socket = (await network.connect(listen, 1000)) as MemorySocket
  const decoder = new FrameDecoder()
  const responses: Command[] = []
  socket.handle({ data: (chunk) => decoder.push(chunk, (c) => responses.push(c)), drained() {}, closed() {} })
  return { socket, responses }
}

export function requestFrame(given: Partial<Command> = {}): Buffer {
  const body = Buffer.alloc(0)
  const rest = { code: 10, language: 'JAVA', version: 479, opaque: 1, flag: 0, remark: undefined, extFields: {} }
  return encodeCommand({ ...rest, body, ...given })
}

/** How a promise ended: its value, or its error's code. */
export async function outcome(promise: Promise<Command>): Promise<unknown> {
  return promise.then(
    ({ code }) => code,
    (error: OperatingError) => error.code,
  )
}
