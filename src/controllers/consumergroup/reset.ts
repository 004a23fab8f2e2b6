import { isOperatingError, messageOf } from '../../base/errors.ts'
import type { LastReset } from '../../crds/index.ts'
import { timeText } from '../conditions.ts'
import { nameOnBrokers } from '../on-brokers/plan.ts'
import type { ConsumerGroup } from '../resources.ts'
import type { Shell } from '../shell.ts'
import type { ResetPlan, ResetTarget } from './plan.ts'

const namedMax = 8
const resetsMax = 1_000

/** A reset that this process began. */
interface Begun {
  targets: readonly ResetTarget[]
  timestampMs: number
  time: string
  /** Topics that were dealt with, and how: by brokerName and topic. */
  done: Map<string, number | string> // queues, or why it failed
  /** What came of it, until the status says so. */
  outcome?: LastReset
}

/**
 * Resets that this process began and whose end no status says yet. A pass that ran out of time, or could not write its
 * status, is followed by one that goes on from here; what another process left unfinished cannot be gone on with.
 */
export class Resets {
  readonly #begun = new Map<string, Begun>()

  find(desired: ConsumerGroup): Begun | undefined {
    return this.#begun.get(keyOf(desired))
  }

  begin(desired: ConsumerGroup, begun: Begun): Begun {
    this.#begun.set(keyOf(desired), begun)
    const [oldest] = this.#begun.keys()
    if (this.#begun.size > resetsMax && oldest !== undefined) this.#begun.delete(oldest) // its resource went away
    return begun
  }

  end(desired: ConsumerGroup): void {
    this.#begun.delete(keyOf(desired))
  }
}

function keyOf({ metadata, spec }: ConsumerGroup): string {
  return `${metadata.uid}/${spec.resetOffset?.requestId}`
}

/**
 * Performs a planned reset, or says why it is not done.
 * @param begin notes in the status that it has begun, before the first queue is touched: no other process begins it again
 * @returns what the status is to say from now on
 * @throws the reason of signal, when the pass ran out of time: the next one goes on
 */
export async function performReset(
  desired: ConsumerGroup,
  plan: ResetPlan,
  begin: (lastReset: LastReset) => Promise<void>,
  shell: Shell,
): Promise<LastReset | undefined> {
  const before = desired.status?.lastReset
  const asked = desired.spec.resetOffset
  if (plan.do === 'giveUp' && before) {
    const message =
      'an operator that is gone began it and did not say how it ended: queues may have been reset or not; ask again with another requestId'
    return { ...before, result: 'Interrupted', message }
  }
  if (!asked || (plan.do !== 'reset' && plan.do !== 'goOn')) return before
  let begun = shell.resets.find(desired)
  if (plan.do === 'reset') {
    const { targets, timestampMs } = plan
    begun = shell.resets.begin(desired, { targets, timestampMs, time: timeText(shell.clock.now()), done: new Map() })
    await begin({ requestId: asked.requestId, time: begun.time, result: 'Running', message: 'being reset' })
  }
  if (begun === undefined) return before
  if (begun.outcome === undefined) {
    const { targets } = begun
    const ends = await Promise.allSettled(targets.map((target) => resetAt(target, desired, begun, shell)))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    begun.outcome = outcomeOf(asked, begun)
  }
  return begun.outcome
}

/** Resets a group at one broker, a topic after the other. A broker that falls silent is not asked for the others. */
async function resetAt(target: ResetTarget, desired: ConsumerGroup, begun: Begun, shell: Shell): Promise<void> {
  let silence: string | undefined
  for (const topic of target.topics) {
    const key = `${topic} on ${target.brokerName}`
    if (begun.done.has(key)) continue
    shell.signal.throwIfAborted()
    if (silence !== undefined) {
      begun.done.set(key, silence)
      continue
    }
    try {
      const { brokerAddr } = target
      begun.done.set(key, await shell.admin.resetOffset(brokerAddr, nameOnBrokers(desired), topic, begun.timestampMs))
    } catch (error) {
      begun.done.set(key, messageOf(error))
      if (!isOperatingError(error, 'REQUEST_REFUSED')) silence = messageOf(error)
    }
  }
}

function outcomeOf(
  asked: NonNullable<ConsumerGroup['spec']['resetOffset']>,
  { targets, done, time }: Begun,
): LastReset {
  const failures: string[] = []
  const topics = new Set<string>()
  let queues = 0
  for (const { brokerName, topics: wanted } of targets) {
    for (const topic of wanted) {
      const result = done.get(`${topic} on ${brokerName}`)
      if (typeof result === 'string') failures.push(`${topic} on ${brokerName}: ${result}`)
      if (typeof result !== 'number' || result === 0) continue
      topics.add(topic)
      queues += result
    }
  }
  const unknown = (asked.topics ?? []).filter((topic) => !topics.has(topic))
  if (failures.length === 0 && unknown.length > 0) failures.push(`no broker has ${unknown.join(', ')}`)
  if (failures.length === 0 && queues === 0) failures.push('the group has consumed nothing yet: name topics')
  const went = `${queues} queues of ${topics.size} topics go on at ${whereOf(asked)}`
  const { requestId } = asked
  if (failures.length === 0) return { requestId, time, result: 'Done', message: went }
  const message = `${went}; failed: ${failures.slice(0, namedMax).join('; ')}`.slice(0, 1024)
  return { requestId, time, result: 'Failed', message }
}

function whereOf({ to, timestamp }: NonNullable<ConsumerGroup['spec']['resetOffset']>): string {
  if (to === 'Timestamp') return timestamp ?? ''
  return to === 'Earliest' ? 'their first message' : 'their end'
}
