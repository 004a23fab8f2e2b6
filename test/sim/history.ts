import type { SendStatus } from '../../src/client/index.ts'

export const topic = 'orders'

/** One message as its producer knows it. */
export interface Sent {
  readonly key: string
  readonly bodyBytes: number
  readonly paddingBytes: number // of its property `padding`
  readonly waitsForFlush: boolean
  readonly atMs: number
  /** Undefined: no answer came, or none that says it was stored; it may have been all the same. */
  ack?: Ack
}

export interface Ack {
  atMs: number
  status: SendStatus
  queueId: number
  queueOffset: number
  phyOffset: number | undefined // a batch is told only its queueOffset
}

/** What clients saw. */
export class History {
  readonly sent = new Map<string, Sent>()
  /** Times that consumers got each message. */
  readonly consumed = new Map<string, number>()
  /** Highest queueOffset that consumers got of each queue. */
  readonly consumedTo = new Map<number, number>()
  ackCount = 0
  /** Told each acknowledgement at once. */
  readonly onAck: ((sent: Sent, ack: Ack) => void)[] = []

  send(fields: Omit<Sent, 'key' | 'ack'>): Sent {
    const sent: Sent = { key: `m${this.sent.size}`, ...fields }
    this.sent.set(sent.key, sent)
    return sent
  }

  acked(sent: Sent, ack: Ack): void {
    sent.ack = ack
    this.ackCount++
    for (const listener of this.onAck) listener(sent, ack)
  }

  /** @returns the message, or what is wrong with it */
  recognize(body: Buffer, properties: ReadonlyMap<string, string>): Sent | string {
    const key = properties.get('key') ?? ''
    const sent = this.sent.get(key)
    if (sent === undefined) return `a message that nobody sent: key ${JSON.stringify(key)}`
    if (!body.equals(bodyOf(sent))) return `${key} has another body than was sent`
    if ((properties.get('padding') ?? '') !== paddingOf(sent)) return `${key} has other properties than were sent`
    return sent
  }
}

export function bodyOf({ key, bodyBytes }: Sent): Buffer {
  return Buffer.alloc(bodyBytes, `${key} `)
}

export function paddingOf({ key, paddingBytes }: Sent): string {
  return key.padEnd(paddingBytes, '.').slice(0, paddingBytes)
}
