/** A bug planted in a copy of one source file as it is loaded; the file itself stays as it is. */
export interface Mutant {
  name: string
  file: string // from the root of the project
  find: string // once in the file
  replaceBy: string
}

export const mutants: readonly Mutant[] = [
  {
    name: 'the flush of the commit log does nothing',
    file: 'src/runtime-broker/store/commit-log.ts',
    find: 'for (const file of files) await file.sync()',
    replaceBy: 'await Promise.all(files.map(() => undefined))',
  },
  {
    name: 'SYNC_FLUSH answers before the flush',
    file: 'src/runtime-broker/store/store.ts',
    find: '      this.#pending.settleUnwaiting()\n',
    replaceBy: '      this.#dispatcher.dispatch(this.#pending.written)\n',
  },
  {
    name: 'a flush that takes too long is answered as one that succeeded',
    file: 'src/runtime-broker/store/pending.ts',
    find: "this.#tell(at, 'flushTimeout', gate)",
    replaceBy: "this.#tell(at, 'ok', gate)",
  },
  {
    name: 'ASYNC_FLUSH never flushes',
    file: 'src/runtime-broker/store/flusher.ts',
    find: 'if (isSyncFlush || this.#flushTimer !== undefined',
    replaceBy: 'if (clock !== undefined || this.#flushTimer !== undefined',
  },
  {
    name: 'an fsync that failed is taken for one that succeeded',
    file: 'src/runtime-broker/store/commit-log.ts',
    find: 'for (const file of files) await file.sync()',
    replaceBy: 'for (const file of files) await file.sync().catch(() => {})',
  },
  {
    name: 'what an fsync failed for is not written again',
    file: 'src/runtime-broker/store/recovery.ts',
    find: 'if (unflushedFrom !== undefined) rewrite(',
    replaceBy: 'if (unflushedFrom === -1) rewrite(',
  },
  {
    name: 'recovery cuts one record too much',
    file: 'src/runtime-broker/store/recovery.ts',
    find: 'let endOffset = await scanRecords(commitLog, from, parts.checkCrc, (record) => dispatch.take(record))',
    replaceBy: `let lastOffset = from
  let endOffset = await scanRecords(commitLog, from, parts.checkCrc, (record) => {
    lastOffset = record.phyOffset
    dispatch.take(record)
  })
  if (lastOffset > from && !parts.wasClean) endOffset = lastOffset`,
  },
  {
    name: 'recovery leaves a record out of its queue',
    file: 'src/runtime-broker/store/recovery.ts',
    find: '    this.count++\n    this.storeTimestamp',
    replaceBy: '    if (++this.count === 3) return\n    this.storeTimestamp',
  },
  {
    name: 'a table is renamed, and its directory not synced',
    file: 'test/sim/doors/disk.ts',
    find: "files.syncDirectory(path.slice(0, path.lastIndexOf('/')) || '/')",
    replaceBy: '',
  },
  {
    name: 'SYNC_MASTER does not wait for slaves',
    file: 'src/runtime-broker/ha/master.ts',
    find: 'if (inSyncReplicas <= 1) return false',
    replaceBy: 'if (inSyncReplicas > 0) return false',
  },
  {
    name: 'SYNC_MASTER waits for one slave where two are asked for',
    file: 'src/runtime-broker/ha/master.ts',
    find: '      inSyncReplicas - 1,\n',
    replaceBy: '      Math.min(1, inSyncReplicas),\n',
  },
  {
    name: 'SYNC_MASTER waits for all slaves where one is asked for',
    file: 'src/runtime-broker/ha/master.ts',
    find: '      inSyncReplicas - 1,\n',
    replaceBy: '      Math.max(inSyncReplicas - 1, this.#links.size),\n',
  },
  {
    name: 'a slave acknowledges what it has not flushed',
    file: 'src/runtime-broker/ha/slave.ts',
    find: "this.#settings.flushDiskType === 'SYNC_FLUSH' ? flushedOffset : maxOffset",
    replaceBy: 'Math.max(flushedOffset, maxOffset)',
  },
  {
    name: 'a slave goes on without comparing',
    file: 'src/runtime-broker/ha/session.ts',
    find: 'if (!own.equals(theirs)) {',
    replaceBy: 'if (own.length !== theirs.length) {',
  },
  {
    name: 'a read error of the log for a slave ends the master',
    file: 'src/runtime-broker/ha/slave-link.ts',
    find: '    if (!isOperatingError(error)) throw error\n    this.#log.error({ phyOffset',
    replaceBy: '    if (isOperatingError(error)) throw error\n    this.#log.error({ phyOffset',
  },
  {
    name: 'a slave sends its readers to the master that is away',
    file: 'src/client/routes.ts',
    find: 'group?.get(brokerId) ?? group?.get(0) ?? group?.values().next().value',
    replaceBy: 'group?.get(brokerId) ?? group?.get(0)',
  },
  {
    name: 'a consumer commits what it has only pulled',
    file: 'src/client/process-queue.ts',
    find: 'return this.#held[this.#first]?.queueOffset ?? this.nextOffset',
    replaceBy: 'return this.nextOffset',
  },
  {
    name: 'a consumer takes a failure for consumed',
    file: 'src/client/push-consumer.ts',
    find: 'else if (!owner.isDropped) await this.#sendBack(held)',
    replaceBy: 'else owner.done(held)',
  },
  {
    name: 'a producer takes a timeout for success',
    file: 'src/client/sender.ts',
    find: '        if (!mayRetry(error)) throw error\n',
    replaceBy: `        if (isOperatingError(error, 'REQUEST_TIMEOUT')) {
          const extFields = { msgId: '0'.repeat(32), queueId: String(queue.queueId), queueOffset: '0' }
          return { queue, status: 'SEND_OK', answer: { extFields } as unknown as Command }
        }
        if (!mayRetry(error)) throw error
`,
  },
  {
    name: 'a half message is in the queue of its topic',
    file: 'src/runtime-broker/broker/transactions/half-message.ts',
    find: '    ...message,\n    topic: TopicName.TRANS_HALF,\n    queueId: halfQueueId,\n',
    replaceBy: '    ...message,\n',
  },
  {
    name: 'a commit is acknowledged before its message is stored',
    file: 'src/runtime-broker/broker/transactions/transactions.ts',
    find: "outcome === 'commit' ? this.#commit(half, real) : done",
    replaceBy: "outcome === 'commit' ? (void this.#commit(half, real).catch(() => {}), done) : done",
  },
  {
    name: 'an end of a transaction is not noted',
    file: 'src/runtime-broker/broker/transactions/op-batch.ts',
    find: 'this.#store.append(opMessage(piece, this.#storeHost, this.#clock.now()), { settle })',
    replaceBy: 'void settle',
  },
  {
    name: 'half messages are left behind before their copies are safe',
    file: 'src/runtime-broker/broker/transactions/transactions.ts',
    find: 'await store.flush() // the copies',
    replaceBy: '// the copies',
  },
  {
    name: 'a half message that is given up is dropped',
    file: 'src/runtime-broker/broker/transactions/transactions.ts',
    find: 'await stored(store, givenUp(half, storeHost))',
    replaceBy: 'await Promise.resolve(storeHost)',
  },
]
