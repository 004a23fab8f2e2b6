import { eventually } from '../harness/kube.ts'
import { type Case, check } from '../harness/stage.ts'

/** More and fewer broker groups, more queues, while messages stay. */
export const scale: Case[] = [
  {
    name: 'a third group joins through the scale subresource and takes messages',
    async run(stage) {
      const { kube } = stage
      await kube.run(['scale', 'brokerset/mq-brokers', '--replicas=3'])
      await kube.ready('brokerset/mq-brokers', 180_000)
      await eventually('the topic is on three brokers', 60_000, async () => {
        const { status } = await kube.get('topic', 'orders')
        return status.brokers?.synced === 3 || `it is on ${status.brokers?.synced}`
      })
      const sent = await stage.send('third-', 900)
      const names = Object.keys(sent.perBroker).join()
      check(names === 'mq-brokers-0,mq-brokers-1,mq-brokers-2', `three brokers take messages, saw ${names}`)
      await stage.receiveAll()
    },
  },
  {
    name: 'a topic gets more queues on every broker',
    async run(stage) {
      const { kube } = stage
      await kube.run(['patch', 'topic/orders', '--type=merge', '-p', '{"spec":{"queues":{"perBroker":6}}}'])
      await kube.ready('topic/orders', 60_000)
      const sent = await stage.send('wider-', 900)
      check(sent.queues === 18, `six queues on each of three brokers take messages, saw ${sent.queues}`)
      await stage.receiveAll()
    },
  },
]

/** Before the last group goes for good. */
export const scaleInCancelled: Case[] = [
  {
    name: 'a drain is cancelled by raising the number again: the group takes messages as before',
    async run(stage) {
      const { kube } = stage
      await kube.run(['scale', 'brokerset/mq-brokers', '--replicas=2'])
      await eventually('the last group drains, and somebody has to read', 60_000, async () => {
        const { status } = await kube.get('brokerset', 'mq-brokers')
        const last = status.groupStatuses?.at(-1)
        return (last?.draining?.blockers?.length ?? 0) > 0 || JSON.stringify(last)
      })
      await kube.run(['scale', 'brokerset/mq-brokers', '--replicas=3'])
      await kube.ready('brokerset/mq-brokers', 60_000)
      const { status } = await kube.get('brokerset', 'mq-brokers')
      check(status.groups === 3, `three groups take messages, saw ${status.groups}`)
      const { perBroker } = await stage.send('cancelled-', 300)
      check((perBroker['mq-brokers-2'] ?? 0) > 0, `the group takes messages, saw ${JSON.stringify(perBroker)}`)
    },
  },
]

/** Last: the messages of the group that goes are read, and go with it. */
export const scaleIn: Case[] = [
  {
    name: 'the last group goes, once every consumer group has read what it has',
    async run(stage) {
      const { kube } = stage
      await kube.run(['scale', 'brokerset/mq-brokers', '--replicas=2'])
      await eventually('it takes no messages and waits for its readers', 60_000, async () => {
        const { status } = await kube.get('brokerset', 'mq-brokers')
        const last = status.groupStatuses?.at(-1)
        return (last?.draining?.blockers?.length ?? 0) > 0 || JSON.stringify(last)
      })
      await stage.catchUp()
      await eventually('its StatefulSet is gone', 240_000, async () => {
        const { items } = await kube.get('statefulsets', '-l', 'rocketmq.alt/broker-set=mq-brokers')
        const { status } = await kube.get('brokerset', 'mq-brokers')
        const names = items.map((item: { metadata: { name: string } }) => item.metadata.name).join()
        return names === 'mq-brokers-0,mq-brokers-1' || `${names}; ${JSON.stringify(status.groupStatuses?.at(-1))}`
      })
      await kube.ready('brokerset/mq-brokers', 60_000)
      const { perBroker } = await stage.send('after-', 300)
      check(!('mq-brokers-2' in perBroker), 'the group that went takes no messages')
    },
  },
]
