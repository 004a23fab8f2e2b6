import { messageOf } from '../../base/errors.ts'
import type { LastReset } from '../../crds/index.ts'
import { timeText } from '../conditions.ts'
import { nameOnBrokers } from '../on-brokers/plan.ts'
import type { ConsumerGroup } from '../resources.ts'
import type { Shell } from '../shell.ts'
import type { ResetPlan } from './plan.ts'

const namedMax = 8

/**
 * Performs a planned reset, or says why it is not done.
 * @param begin notes in the status that it has begun, before the first queue is touched: no later pass begins it again
 * @returns what the status is to say from now on
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
    const message = 'the operator ended in the middle of the reset; ask again with another requestId'
    return { ...before, result: 'Interrupted', message }
  }
  if (plan.do !== 'reset' || !asked) return before
  const begun = { requestId: asked.requestId, time: timeText(shell.clock.now()) }
  await begin({ ...begun, result: 'Running', message: 'being reset' })
  const failures: string[] = []
  const topics = new Set<string>()
  let queues = 0
  for (const { brokerName, brokerAddr, topics: wanted } of plan.targets) {
    for (const topic of wanted) {
      shell.signal.throwIfAborted() // not a failure of the broker: the status goes on to say Running
      try {
        const count = await shell.admin.resetOffset(brokerAddr, nameOnBrokers(desired), topic, plan.timestampMs)
        if (count > 0) topics.add(topic)
        queues += count
      } catch (error) {
        failures.push(`${topic} on ${brokerName}: ${messageOf(error)}`)
      }
    }
  }
  const unknown = (asked.topics ?? []).filter((topic) => !topics.has(topic))
  if (failures.length === 0 && unknown.length > 0) failures.push(`no broker has ${unknown.join(', ')}`)
  const done = `${queues} queues of ${topics.size} topics go on at ${whereOf(asked)}`
  if (failures.length === 0) return { ...begun, result: 'Done', message: done }
  const message = `${done}; failed: ${failures.slice(0, namedMax).join('; ')}`.slice(0, 1024)
  return { ...begun, result: 'Failed', message }
}

function whereOf({ to, timestamp }: NonNullable<ConsumerGroup['spec']['resetOffset']>): string {
  if (to === 'Timestamp') return timestamp ?? ''
  return to === 'Earliest' ? 'their first message' : 'their end'
}
