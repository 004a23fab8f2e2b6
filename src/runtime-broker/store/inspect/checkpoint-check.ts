import type { Files } from '../../../base/files.ts'
import { type Checkpoint, readCheckpoint } from '../checkpoint.ts'
import type { Findings } from './findings.ts'

const checkpointBytes = 4096

/** Holds what a checkpoint says against the log that was read. */
export class CheckpointCheck {
  readonly path: string
  readonly isThere: boolean
  readonly checkpoint: Checkpoint
  readonly #findings: Findings
  #isBorder = false
  #newestTimestamp = 0

  constructor(files: Files, directory: string, findings: Findings) {
    this.path = `${directory}/checkpoint`
    this.isThere = files.exists(this.path)
    this.checkpoint = readCheckpoint(files, this.path)
    this.#findings = findings
    if (!this.isThere) return
    const file = files.open(this.path, 'reading')
    const sizeBytes = file.sizeBytes()
    file.close()
    if (sizeBytes !== checkpointBytes) this.#add(`is ${sizeBytes} bytes long, not ${checkpointBytes}`)
  }

  take(phyOffset: number, endOffset: number, storeTimestamp: number): void {
    const { queuesSyncedTo } = this.checkpoint
    if (queuesSyncedTo === phyOffset || queuesSyncedTo === endOffset) this.#isBorder = true
    this.#newestTimestamp = Math.max(this.#newestTimestamp, storeTimestamp)
  }

  finish(minOffset: number, endOffset: number, isWhole: boolean): void {
    const { physicMsgTimestamp, logicsMsgTimestamp, queuesSyncedTo, index } = this.checkpoint
    if (!this.isThere || !isWhole) return
    for (const [name, timestamp] of Object.entries({ physicMsgTimestamp, logicsMsgTimestamp })) {
      if (timestamp > this.#newestTimestamp && this.#newestTimestamp > 0) {
        this.#add(`${name} ${timestamp} is later than the newest message, ${this.#newestTimestamp}`)
      }
    }
    if (queuesSyncedTo !== undefined) {
      if (queuesSyncedTo > endOffset) this.#add(`says that all is safe up to ${queuesSyncedTo}, behind the log's end`)
      else if (queuesSyncedTo > minOffset && !this.#isBorder) {
        this.#add(`says that all is safe up to ${queuesSyncedTo}, where no record ends`)
      }
    }
    if (index !== undefined && index.indexedTo > endOffset) {
      this.#add(`says that messages are indexed up to ${index.indexedTo}, behind the log's end`)
    }
  }

  #add(what: string): void {
    this.#findings.add({ kind: 'checkpoint', path: this.path, what })
  }
}
