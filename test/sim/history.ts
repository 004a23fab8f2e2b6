import type { SendStatus, TransactionOutcome } from '../../src/client/index.ts'

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

/** A message of a transaction: only a commit lets consumers have it. */
export interface Transaction {
  readonly sent: Sent
  /** How its local transaction ends, once that is executed. UNKNOWN: nobody ever finds out. */
  readonly fate: TransactionOutcome
  /** Whether the process that began it may still execute it. */
  readonly mayExecute: () => boolean
  /** How often its producers do not know yet, when they are asked. */
  unknownCount: number
  /** What its producers know of it, all of them: undefined until it is executed, or never will be. */
  outcome?: TransactionOutcome
  /** The half message, stored as safely as the broker is set to do it. */
  half?: { atMs: number; phyOffset: number }
  /** When a broker was first told of its end. */
  toldAtMs?: number
  /** When a broker first acknowledged its end. */
  endedAtMs?: number
}

/** What clients saw. */
export class History {
  readonly sent = new Map<string, Sent>()
  readonly transactions = new Map<string, Transaction>()
  /** Times that consumers got each message. */
  readonly consumed = new Map<string, number>()
  /** Highest queueOffset that consumers got of each queue. */
  readonly consumedTo = new Map<number, number>()
  ackCount = 0
  endCount = 0
  /** Told each acknowledgement at once. */
  readonly onAck: ((sent: Sent, ack: Ack) => void)[] = []
  /** Told each acknowledged end of a transaction at once. */
  readonly onEnd: ((transaction: Transaction) => void)[] = []

  send(fields: Omit<Sent, 'key' | 'ack'>): Sent {
    const sent: Sent = { key: `m${this.sent.size}`, ...fields }
    this.sent.set(sent.key, sent)
    return sent
  }

  begin(transaction: Transaction): Transaction {
    this.transactions.set(transaction.sent.key, transaction)
    return transaction
  }

  acked(sent: Sent, ack: Ack): void {
    sent.ack = ack
    this.ackCount++
    for (const listener of this.onAck) listener(sent, ack)
  }

  ended(transaction: Transaction, atMs: number): void {
    transaction.endedAtMs ??= atMs
    this.endCount++
    for (const listener of this.onEnd) listener(transaction)
  }

  /** @returns the message that a consumer may have, or what is wrong with it */
  recognize(body: Buffer, properties: ReadonlyMap<string, string>): Sent | string {
    const sent = this.identify(body, properties)
    if (typeof sent === 'string') return sent
    const transaction = this.transactions.get(sent.key)
    if (transaction === undefined || (transaction.outcome === 'COMMIT' && transaction.toldAtMs !== undefined))
      return sent
    return `${sent.key}, which nobody committed: its producers say ${transaction.outcome ?? 'nothing'}`
  }

  /** @returns the message, of a transaction or not, or what is wrong with it */
  identify(body: Buffer, properties: ReadonlyMap<string, string>): Sent | string {
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
