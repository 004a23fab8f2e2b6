import { eventually } from '../harness/kube.ts'
import { type Case, check } from '../harness/stage.ts'

const resource = 'consumergroup/reader'
const groupName = 'reader-0' // who received everything in the case before

function manifest(requestId: string): string {
  return JSON.stringify({
    apiVersion: 'rocketmq.alt/v1alpha1',
    kind: 'ConsumerGroup',
    metadata: { name: 'reader' },
    spec: {
      brokerSetRef: { name: 'mq-brokers' },
      groupName,
      retry: { maxTimes: 3 },
      adoptionPolicy: 'Always', // its members were there before it
      resetOffset: { requestId, to: 'Earliest' },
    },
  })
}

/** A consumer group as a resource, on brokers that clients use. */
export const consumerGroups: Case[] = [
  {
    name: 'a ConsumerGroup sends its members back to the first message, once',
    async run(stage) {
      const { kube } = stage
      await kube.run(['apply', '-f', '-'], { input: manifest('again') })
      await kube.ready(resource, 60_000)
      await eventually('the offsets are reset', 90_000, async () => {
        const { status } = await kube.get(resource)
        if (status.lastReset?.result === 'Done') return true
        const { reason, message } = (await kube.conditionOf(resource, 'OffsetReset')) ?? {}
        return `${status.lastReset?.result ?? reason}: ${status.lastReset?.message ?? message}`
      })
      const { status } = await kube.get(resource)
      check(status.lastReset.requestId === 'again', `it was done for its request, saw ${status.lastReset.requestId}`)
      await stage.receiveAgain(groupName)

      // a change of anything else resets nothing: whoever has read everything has nothing to read
      const before = status.lastReset.time
      await kube.run(['patch', resource, '--type=merge', '-p', '{"spec":{"retry":{"maxTimes":5}}}'])
      await kube.ready(resource, 60_000)
      const after = await kube.get(resource)
      check(
        after.status.lastReset.time === before,
        `the reset is done once, saw ${before} and ${after.status.lastReset.time}`,
      )
      await kube.run(['delete', resource, '--timeout=60s'])
    },
  },
]
