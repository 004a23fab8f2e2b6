/**
 * Records what real peers say to each other: a TCP proxy before a NameServer and a broker that keeps one frame of each
 * kind, for test/contract/vectors.
 *
 *     node test/contract/record.ts FILE namesrv:27977=27976 broker:27921=27911
 *
 * listens at 27977 and 27921 on 127.0.0.1 until it is ended, then writes FILE. Answers are changed so that clients find
 * the broker here: `127.0.0.1:27911` becomes `127.0.0.1:27921` (ports of equal length keep the frames whole).
 */
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { isOneway, isResponse } from '../../src/remoting/command.ts'
import { FrameDecoder } from '../../src/remoting/frame.ts'
import type { Vector } from './vectors.ts'

const frameBytesKept = 16 * 1024 // larger frames say nothing new

const [file, ...proxies] = process.argv.slice(2)
if (file === undefined || proxies.length === 0) throw new Error('usage: record.ts FILE NAME:PORT=PORT…')

const ports = proxies.map((proxy) => {
  const match = /^(\w+):(\d+)=(\d+)$/.exec(proxy)
  if (match === null || match[2]!.length !== match[3]!.length) throw new Error(`not NAME:PORT=PORT: ${proxy}`)
  return { at: match[1]!, here: Number(match[2]), there: Number(match[3]) }
})
const kept = new Map<string, Vector>()

for (const { at, here, there } of ports) {
  createServer((client) => {
    const server = connect(there, '127.0.0.1')
    const asked = { client: new Map<number, number>(), server: new Map<number, number>() } // code by opaque, by who asked
    const toServer = new FrameCutter((frame) => keep(at, 'client', frame, asked))
    const toClient = new FrameCutter((frame) => keep(at, 'server', frame, asked))
    client.on('data', (chunk) => {
      toServer.push(chunk as Buffer)
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      const redirected = redirect(chunk as Buffer)
      toClient.push(redirected)
      client.write(redirected)
    })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
    }
  }).listen(here, '127.0.0.1')
}
process.on('SIGTERM', finish).on('SIGINT', finish)

function finish(): void {
  const vectors = [...kept].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, vector]) => JSON.stringify(vector))
  writeFileSync(file!, `${vectors.join('\n')}\n`)
  process.exit(0)
}

function redirect(chunk: Buffer): Buffer {
  let text = chunk.toString('latin1')
  for (const { here, there } of ports) text = text.replaceAll(`127.0.0.1:${there}`, `127.0.0.1:${here}`)
  return Buffer.from(text, 'latin1')
}

function keep(
  at: string,
  from: 'client' | 'server',
  frame: Buffer,
  asked: Record<'client' | 'server', Map<number, number>>,
): void {
  if (frame.length > frameBytesKept) return
  new FrameDecoder().push(frame, ({ code, opaque, flag, extFields }) => {
    const asker = isResponse(flag) === (from === 'client') ? 'server' : 'client'
    if (!isResponse(flag)) asked[asker].set(opaque, code)
    const vector: Vector = {
      at,
      from,
      code: isResponse(flag) ? (asked[asker].get(opaque) ?? -1) : code,
      ...(isResponse(flag) ? { answer: code } : {}),
      ...(isOneway(flag) ? { oneway: true } : {}),
      frame: frame.toString('hex'),
    }
    const kind = [at, vector.code, vector.answer ?? '', from, frame[4], Object.keys(extFields).sort()].join(' ')
    if (!kept.has(kind)) kept.set(kind, vector)
  })
}

/** Cuts a stream at the frames' own lengths, and leaves them as they are. */
class FrameCutter {
  #rest = Buffer.alloc(0)
  readonly #take: (frame: Buffer) => void

  constructor(take: (frame: Buffer) => void) {
    this.#take = take
  }

  push(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
      const bytes = 4 + this.#rest.readInt32BE(0)
      this.#take(this.#rest.subarray(0, bytes))
      this.#rest = this.#rest.subarray(bytes)
    }
  }
}
