import type { Clock, Timer } from '../../../base/clock.ts'
import { messageOf } from '../../../base/errors.ts'
import type { Log } from '../../../base/log.ts'
import type { MessageStore, SettleStatus } from '../../store/index.ts'
import { opMessage } from './half-message.ts'

/** Characters of offsets that could not be written; beyond it nothing more ends until they can. */
const textLengthMax = 64 * 1024

interface OpSettings {
  readonly transactionOpMsgMaxSize: number
  readonly transactionOpBatchInterval: number
}

/**
 * Gathers the offsets of half messages that ended, and writes many of them as one op message: when they are long enough, or
 * an interval after the first. What a crash takes of them is asked of producers again.
 */
export class OpBatch {
  readonly #store: MessageStore
  readonly #storeHost: Buffer
  readonly #settings: OpSettings
  readonly #clock: Clock
  readonly #log: Log
  #text = ''
  #timer: Timer | undefined

  constructor(
    store: MessageStore,
    storeHost: Buffer,
    settings: OpSettings,
    { clock, log }: { clock: Clock; log: Log },
  ) {
    this.#store = store
    this.#storeHost = storeHost
    this.#settings = settings
    this.#clock = clock
    this.#log = log
  }

  /** @throws OperatingError STORE_FULL, STORE_CLOSED when the store takes nothing for so long that too many wait */
  admit(): void {
    if (this.#text.length >= textLengthMax) this.#write()
  }

  add(halfOffset: number): void {
    this.#text += `${halfOffset},`
    if (this.#text.length >= this.#settings.transactionOpMsgMaxSize) this.tryWrite()
    if (this.#text !== '') {
      this.#timer ??= this.#clock.after(this.#settings.transactionOpBatchInterval, () => this.tryWrite())
    }
  }

  /** Writes what there is; what the store does not take is kept for the next time. */
  tryWrite(): void {
    try {
      this.#write()
    } catch (error) {
      this.#log.warn({ err: messageOf(error) }, 'ended transactions cannot be noted: trying again')
    }
  }

  close(): void {
    this.tryWrite()
    this.#timer?.cancel()
  }

  #write(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    while (this.#text !== '') {
      const piece = pieceOf(this.#text, this.#settings.transactionOpMsgMaxSize)
      const settle = (status: SettleStatus) => {
        if (status === 'failed') this.#text = piece + this.#text // written with the next ones
      }
      this.#store.append(opMessage(piece, this.#storeHost, this.#clock.now()), { settle })
      this.#text = this.#text.slice(piece.length)
    }
  }
}

/** Whole offsets from the text's beginning: as many as fit, one at least. */
function pieceOf(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text
  const end = text.lastIndexOf(',', lengthMax - 1)
  return text.slice(0, (end < 0 ? text.indexOf(',') : end) + 1)
}
