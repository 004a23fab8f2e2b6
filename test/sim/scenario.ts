import type { SeededRandom } from './doors/random.ts'

/** What a seed makes of the cluster and its clients. */
export interface Scenario {
  flushDiskType: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  brokerRole: 'ASYNC_MASTER' | 'SYNC_MASTER'
  slaves: 0 | 1 | 2
  /** Members that have a message before a SYNC_MASTER answers SEND_OK, itself counted. */
  inSyncReplicas: 1 | 2 | 3
  syncFlushTimeout: number // ms
  /** How long a sync of a broker's disk takes, in ms: fastest and slowest. */
  syncMs: readonly [number, number]
  segmentBytes: number
  consumeQueueFileBytes: number
  /** Consumers may read from slaves while the master is away; in the end it stays away. */
  readsFromSlave: boolean
  queues: number
  senders: number
  consumers: number
  /** How many of a thousand messages a consumer fails to consume at the first try. */
  failuresPerMille: number
  /** The master loses its power as soon as the topic's creation is answered. */
  cutsPowerAtTopic: boolean
  faults: number
  /** How long messages are sent while things fail, in ms. */
  busyMs: number
  /** Loops that send messages of transactions; 0: there are none. */
  transactors: number
  /** How often one is sent again that got no answer in time: then there may be two half messages of it. */
  transactionRetries: number
  transactionTimeOut: number // ms
  /** transactionCheckInterval in ms, and transactionCheckMax. */
  transactionCheck: readonly [number, number]
  transactionOpBatchInterval: number // ms
}

/** @param ofSlaves draws how many slaves there are, where there is one: seeds without a second one stay as they were */
export function scenarioOf(random: SeededRandom, ofSlaves: SeededRandom): Scenario {
  const hasSlave = random.is(0.6)
  const slaves = !hasSlave ? 0 : ofSlaves.is(0.4) ? 2 : 1
  const waitsForAll = slaves === 2 && ofSlaves.is(0.5)
  const flushDiskType = random.is(0.6) ? 'SYNC_FLUSH' : 'ASYNC_FLUSH'
  const brokerRole = hasSlave && random.is(0.5) ? 'SYNC_MASTER' : 'ASYNC_MASTER'
  return {
    flushDiskType,
    brokerRole,
    slaves,
    inSyncReplicas: brokerRole === 'ASYNC_MASTER' ? 1 : waitsForAll ? 3 : 2,
    syncFlushTimeout: random.one([200, 1_000, 5_000]),
    syncMs: random.one([
      [0.1, 8],
      [5, 60],
    ]),
    segmentBytes: random.one([40, 64, 256, 1024, 2048]) * 1024,
    consumeQueueFileBytes: random.one([20, 200, 2_000, 20_000]),
    queues: 1 + random.int(4),
    senders: 1 + random.int(8),
    consumers: random.int(3),
    failuresPerMille: random.is(0.3) ? 20 : 0,
    cutsPowerAtTopic: random.is(0.15),
    faults: 1 + random.int(8),
    busyMs: random.between(15_000, 45_000),
    readsFromSlave: hasSlave && random.is(0.5),
    transactors: random.is(0.4) ? 0 : 1 + random.int(2),
    transactionRetries: random.one([0, 0, 2]),
    transactionTimeOut: random.one([500, 2_000, 6_000]),
    transactionCheck: random.one([
      [500, 40],
      [2_000, 15],
      [6_000, 5],
      [15_000, 2],
    ]),
    transactionOpBatchInterval: random.one([50, 500, 3_000]),
  }
}
