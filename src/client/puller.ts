import { isOperatingError } from '../base/errors.ts'
import { PullSysFlag, RequestCode, ResponseCode } from '../remoting/codes.ts'
import type { Command } from '../remoting/command.ts'
import { pullMessageRequest, pullMessageResponse } from '../remoting/headers/pull-message.ts'
import { decodeMessages } from '../remoting/message/index.ts'
import type { Cluster } from './cluster.ts'
import type { Heartbeats } from './heartbeats.ts'
import type { Held, ProcessQueue } from './process-queue.ts'
import type { Subscription } from './subscription.ts'

export interface PullLimits {
  /** Messages of one queue that are held, pulled but not consumed, above which it is not pulled (1,000). */
  heldCountMax: number
  /** How far pulls of one queue may run ahead of its first message that is not consumed (2,000). */
  heldSpanMax: number
  /** Bytes held by the whole consumer above which nothing is pulled (100 MiB). */
  heldBytesMax: number
  /** Messages of one pull (32). */
  pullCountMax: number
  /** Bytes of one pull (256 KiB). */
  pullBytesMax: number
}

export function pullLimits(given: Partial<PullLimits>): PullLimits {
  return {
    heldCountMax: given.heldCountMax ?? 1_000,
    heldSpanMax: given.heldSpanMax ?? 2_000,
    heldBytesMax: given.heldBytesMax ?? 100 * 1024 * 1024,
    pullCountMax: given.pullCountMax ?? 32,
    pullBytesMax: given.pullBytesMax ?? 256 * 1024,
  }
}

/** What the pull loops of one consumer share. */
export interface PullContext {
  readonly cluster: Cluster
  readonly heartbeats: Heartbeats
  readonly consumerGroup: string
  /**
   * push: brokers know what the group wants from heartbeats, and store the progress with each pull; pushUncommitted: the
   * same without progress; lite: each pull says what it wants.
   */
  readonly kind: 'push' | 'pushUncommitted' | 'lite'
  readonly limits: PullLimits
  readonly isClosed: () => boolean
  readonly heldBytes: () => number
  /** Whether the application wants no more of the queue for now. */
  readonly isPaused?: (queue: ProcessQueue) => boolean
  readonly deliver: (held: readonly Held[]) => void
  /** The broker moved the group's offset: the queue goes on there, and what is held of it counts no more. */
  readonly moved: (queue: ProcessQueue, offset: number) => void
}

/** Pulls one queue, one request after the other, until it is dropped or the consumer closes. Whatever fails is tried again. */
export async function pullLoop(processQueue: ProcessQueue, subscription: Subscription, context: PullContext) {
  const { cluster } = context
  const { clock, log } = cluster.doors
  const { queue } = processQueue
  let brokerId = 0
  let refusal: number | undefined // the last one logged: the same again is no news
  while (!processQueue.isDropped && !context.isClosed()) {
    if (isFull(processQueue, context) || context.isPaused?.(processQueue)) {
      await clock.sleep(fullPauseMs)
      continue
    }
    let pauseMs: number
    try {
      const address = (await cluster.routes.get(queue.topic)).brokerOf(queue.brokerName, brokerId) ?? ''
      const command = pullCommand(processQueue, subscription, context)
      const startedAtMs = clock.monotonicMs()
      const answer = await cluster.remoting.call(address, command, pullTimeoutMs)
      if (processQueue.isDropped || context.isClosed()) return
      pauseMs = await take(answer, address, clock.monotonicMs() - startedAtMs)
    } catch (error) {
      if (processQueue.isDropped || context.isClosed()) return
      if (!isOperatingError(error)) throw error
      if (error.retriable) log.debug({ ...queue, err: error }, 'pull failed')
      else log.warn({ ...queue, err: error }, 'pull failed for a reason that may not pass')
      cluster.routes.refreshSoon(queue.topic)
      brokerId = 0
      pauseMs = failurePauseMs
    }
    if (pauseMs > 0) await clock.sleep(pauseMs)
  }

  /** @returns how long to wait before the next pull, in ms */
  async function take(answer: Command, address: string, elapsedMs: number): Promise<number> {
    switch (answer.code) {
      case ResponseCode.SUCCESS:
      case ResponseCode.PULL_NOT_FOUND:
      case ResponseCode.PULL_RETRY_IMMEDIATELY: {
        const header = pullMessageResponse.decode(answer.extFields)
        brokerId = header.suggestWhichBrokerId
        refusal = undefined
        const messages = answer.code === ResponseCode.SUCCESS ? decodeMessages(answer.body) : []
        processQueue.nextOffset = header.nextBeginOffset
        const wanted = messages.filter((message) => subscription.wants(message))
        if (wanted.length > 0) context.deliver(wanted.map((message) => processQueue.hold(message)))
        // A broker that has nothing and does not wait for it, as one that is about to stop, must not be asked in a circle.
        return messages.length === 0 && elapsedMs < hastyMs ? hastyMs : 0
      }
      case ResponseCode.PULL_OFFSET_MOVED:
        context.moved(processQueue, pullMessageResponse.decode(answer.extFields).nextBeginOffset)
        return 0
      case ResponseCode.SUBSCRIPTION_NOT_EXIST:
      case ResponseCode.SUBSCRIPTION_NOT_LATEST: // the broker does not know us any more, or not yet: it may be a new one
        await context.heartbeats.beatAgain(address)
        return forgottenPauseMs
      default:
        if (answer.code !== refusal) log.warn({ ...queue, code: answer.code, remark: answer.remark }, 'pull refused')
        refusal = answer.code
        cluster.routes.refreshSoon(queue.topic)
        return refusedPauseMs
    }
  }
}

function isFull(queue: ProcessQueue, { limits, heldBytes }: PullContext): boolean {
  return queue.count >= limits.heldCountMax || queue.span >= limits.heldSpanMax || heldBytes() >= limits.heldBytesMax
}

function pullCommand(processQueue: ProcessQueue, { data }: Subscription, context: PullContext) {
  const { topic, queueId } = processQueue.queue
  const { limits, kind, consumerGroup } = context
  const isLite = kind === 'lite'
  const commitOffset = kind === 'push' ? processQueue.consumerOffset : 0
  const commits = commitOffset > 0 ? PullSysFlag.COMMIT_OFFSET : 0
  const extFields = pullMessageRequest.encode({
    consumerGroup,
    topic,
    queueId,
    queueOffset: processQueue.nextOffset,
    maxMsgNums: limits.pullCountMax,
    sysFlag: PullSysFlag.SUSPEND | (isLite ? PullSysFlag.SUBSCRIPTION | PullSysFlag.LITE_PULL : commits),
    commitOffset,
    suspendTimeoutMillis: suspendMs,
    subVersion: isLite ? 0 : data.subVersion,
    subscription: isLite ? data.subString : undefined,
    expressionType: 'TAG',
    maxMsgBytes: limits.pullBytesMax,
  })
  return { code: isLite ? RequestCode.LITE_PULL_MESSAGE : RequestCode.PULL_MESSAGE, extFields }
}

const suspendMs = 15_000
const pullTimeoutMs = 30_000
const fullPauseMs = 20
const hastyMs = 10
const failurePauseMs = 1_000
const forgottenPauseMs = 500
const refusedPauseMs = 3_000
