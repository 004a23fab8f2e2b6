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
]
