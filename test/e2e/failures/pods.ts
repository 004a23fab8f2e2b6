import { eventually } from '../harness/kube.ts'
import { type Case, check } from '../harness/stage.ts'

/** Pods that die; messages and service do not. */
export const podFailures: Case[] = [
  {
    name: 'a broker pod is deleted while messages are sent: none that was acknowledged is missing',
    async run(stage) {
      const { kube } = stage
      const before = (await kube.get('pod', 'mq-brokers-0-0')).metadata.uid
      const sending = stage.send('through-', 6000, 180)
      const killing = kube.run(['delete', 'pod', 'mq-brokers-0-0', '--grace-period=0', '--force'])
      await Promise.all([sending, killing])
      await eventually(
        'the pod is there again',
        120_000,
        async () => (await kube.get('pod', 'mq-brokers-0-0')).metadata.uid !== before,
      )
      await kube.ready('brokerset/mq-brokers', 180_000)
      const after = await stage.send('since-', 600)
      check((after.perBroker['mq-brokers-0'] ?? 0) > 0, 'the broker takes messages again')
      await stage.receiveAll()
    },
  },
  {
    name: 'a NameServer pod is deleted: clients go on',
    async run(stage) {
      const { kube } = stage
      await kube.run(['delete', 'pod', 'mq-0'])
      const { acked } = await stage.send('namesrv-', 300)
      check(acked === 300, 'all messages are acknowledged')
      await kube.ready('nameserver/mq', 120_000)
      await kube.ready('brokerset/mq-brokers', 120_000)
    },
  },
  {
    name: 'the operator is restarted: no pod is',
    async run({ kube, operator }) {
      const uids = async () => {
        const { items } = await kube.get('pods', '-l', 'app.kubernetes.io/managed-by=rocketmq-operator')
        return items
          .map((pod: { metadata: { name: string; uid: string } }) => `${pod.metadata.name} ${pod.metadata.uid}`)
          .join()
      }
      const before = await uids()
      check(before !== '', 'there are pods of the operator')
      await operator.run(['rollout', 'restart', 'deployment/rocketmq-operator'])
      await operator.run(['rollout', 'status', 'deployment/rocketmq-operator', '--timeout=120s'], {
        timeoutMs: 150_000,
      })
      // It works: a change made after the restart is seen.
      await kube.run(['patch', 'topic/orders', '--type=merge', '-p', '{"spec":{"queues":{"perBroker":7}}}'])
      await kube.ready('topic/orders', 90_000)
      check((await uids()) === before, 'the same pods run as before')
    },
  },
]
