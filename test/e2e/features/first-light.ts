import { join } from 'node:path'
import { eventually } from '../harness/kube.ts'
import { type Case, check } from '../harness/stage.ts'

const projectDir = join(import.meta.dirname, '../../..')
export const quickstart = join(projectDir, 'deploy/samples/quickstart.yaml')
export const install = join(projectDir, 'deploy/install.yaml')

/** The operator, for all tracks. */
export const installation: Case[] = [
  {
    name: 'the operator comes up from install.yaml',
    isBase: true,
    async run({ operator }) {
      await operator.run(['apply', '-f', install])
      await eventually('the operator is available', 120_000, async () => {
        const { spec, status } = await operator.get('deployment', 'rocketmq-operator')
        return (
          status.availableReplicas === spec.replicas || `${status.availableReplicas ?? 0} of ${spec.replicas} available`
        )
      })
    },
  },
]

/** From nothing to a message delivered. */
export const firstLight: Case[] = [
  {
    name: 'quickstart.yaml becomes ready',
    isBase: true,
    async run(stage) {
      const { kube } = stage
      await kube.run(['apply', '-f', quickstart])
      await kube.ready('nameserver/mq', 180_000)
      await kube.ready('brokerset/mq-brokers', 180_000)
      await kube.ready('topic/orders', 60_000)
      const { status } = await kube.get('brokerset', 'mq-brokers')
      check(status.readyGroups === 2, `readyGroups is 2, saw ${status.readyGroups}`)
      await stage.startFlow('orders')
    },
  },
  {
    name: 'quickstart.yaml applied once more shows no difference',
    async run({ kube }) {
      await kube.ready('consumergroup/billing', 60_000)
      await kube.run(['diff', '-f', quickstart]) // fails where there is a difference
    },
  },
  {
    name: "Apache's Java client sends and receives through the NameServer's Service",
    async run(stage) {
      const sent = await stage.send('first-', 1000)
      const names = Object.keys(sent.perBroker).join()
      check(names === 'mq-brokers-0,mq-brokers-1', `both brokers take messages, saw ${names}`)
      check(sent.queues === 8, `four queues of each take messages, saw ${sent.queues}`)
      await stage.receiveAll()
    },
  },
  {
    name: 'the metrics Service leads to what the operators count',
    async run({ operator }) {
      const { spec } = await operator.get('service', 'rocketmq-operator-metrics')
      const { port } = spec.ports.find(({ name }: { name: string }) => name === 'http-metrics')
      let text = ''
      await eventually('it leads to the one that works', 60_000, async () => {
        const headers = { connection: 'close' } // each look may reach the other one
        const signal = AbortSignal.timeout(5_000)
        const response = await fetch(`http://${spec.clusterIP}:${port}/metrics`, { headers, signal })
        check(response.ok, `it answers, saw ${response.status}`)
        text = await response.text()
        return /^rocketmq_operator_leader 1$/m.test(text) || 'that one does not lead'
      })
      for (const kind of ['BrokerSet', 'NameServer', 'Topic', 'ConsumerGroup']) {
        const [, count] =
          new RegExp(`^rocketmq_operator_pass_seconds_count\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text) ?? []
        check(Number(count) > 0, `passes of a ${kind} are counted, saw ${count}`)
      }
    },
  },
]
