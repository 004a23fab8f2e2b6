import type { Admin } from '../../../src/client/index.ts'
import { apiVersion } from '../../../src/crds/group.ts'
import { check, conditionOf, eventually, isGone, isReady, type Kube } from '../harness/kube.ts'
import type { PortableCase, Scene } from '../harness/stage.ts'

const readyMs = 120_000 // queues that go wait until producers have noticed

/** What fields of a Topic and a ConsumerGroup mean, as their broker tells it: set, and back. */
export const effects: PortableCase[] = [
  {
    name: "a Topic's fields take effect on the broker, and go back",
    async run(scene) {
      const { kube } = scene
      const preset = { queues: { perBroker: 4 }, permission: 'ReadWrite', messageType: 'FIFO' }
      const other = { queues: { perBroker: 5 }, permission: 'ReadOnly', messageType: 'Unspecified' }
      const back = { ...preset, messageType: other.messageType } // which can be changed to it alone
      await kube.apply(manifest('Topic', { ...preset, deletionPolicy: 'Delete' }))
      const seen = async (admin: Admin, broker: string) => {
        const { writeQueueNums, perm, attributes } = await admin.topicConfig(broker, 'walked')
        return { writeQueueNums, perm, type: attributes['message.type'] }
      }
      for (const [spec, wanted] of [
        [preset, { writeQueueNums: 4, perm: 6, type: 'FIFO' }],
        [other, { writeQueueNums: 5, perm: 4, type: 'UNSPECIFIED' }],
        [back, { writeQueueNums: 4, perm: 6, type: 'UNSPECIFIED' }],
      ] as const)
        await patchAndCompare(scene, 'topics', spec, wanted, seen)
      await removed(kube, 'topics')
    },
  },
  {
    name: "a ConsumerGroup's fields take effect on the broker, and go back",
    async run(scene) {
      const { kube } = scene
      const preset = {
        consumeEnabled: true,
        broadcastEnabled: true,
        orderly: false,
        retry: { maxTimes: 16 },
        slowConsumeBrokerId: 1,
      }
      const other = {
        consumeEnabled: false,
        broadcastEnabled: false,
        orderly: true,
        retry: { maxTimes: 0 },
        slowConsumeBrokerId: 0,
      }
      await kube.apply(manifest('ConsumerGroup', { ...preset, deletionPolicy: 'Delete' }))
      const seen = async (admin: Admin, broker: string) => {
        const group = (await admin.subscriptionGroups(broker)).get('walked')
        return [
          group?.consumeEnable,
          group?.consumeBroadcastEnable,
          group?.consumeMessageOrderly,
          group?.retryMaxTimes,
          group?.whichBrokerWhenConsumeSlowly,
        ]
      }
      for (const [spec, wanted] of [
        [preset, [true, true, false, 16, 1]],
        [other, [false, false, true, 0, 0]],
        [preset, [true, true, false, 16, 1]],
      ] as const)
        await patchAndCompare(scene, 'consumergroups', spec, wanted, seen)
      await removed(kube, 'consumergroups')
    },
  },
  {
    name: 'a volume that is too full is told, with what the broker does about it and what helps',
    async run({ kube }) {
      const config = { diskSpaceWarningLevelRatio: '1' } // there is no disk that is emptier
      const spec = { nameServerRef: { name: 'mq' }, storage: { ephemeral: true }, config }
      await kube.apply({ apiVersion, kind: 'BrokerSet', metadata: { name: full }, spec })
      await eventually('DiskPressure is told', readyMs, async () => {
        const pressure = conditionOf(await kube.find('brokersets', full), 'DiskPressure')
        const isTold =
          pressure?.status === 'True' && pressure.message.includes(`${full}-0-0: the volume is more than 1 % full`)
        return (isTold && pressure.reason === 'SendsRefused') || `${pressure?.reason}: ${pressure?.message}`
      })
      const { status } = await kube.find('brokersets', full)
      check(status.groupStatuses[0].members[0].disk === 'SendsRefused', 'the broker is marked in the status')
      await eventually('there is an event', readyMs, async () => {
        const events = await kube.list('events')
        return events.some(({ reason, involvedObject }) => reason === 'DiskPressure' && involvedObject.name === full)
      })
      await kube.remove('brokersets', full)
      await isGone(kube, readyMs, full)
    },
  },
]

const full = 'mq-full'

function manifest(kind: string, spec: object): object {
  return { apiVersion, kind, metadata: { name: 'walked' }, spec: { brokerSetRef: { name: 'mq-brokers' }, ...spec } }
}

async function patchAndCompare(
  scene: Scene,
  kind: string,
  spec: object,
  wanted: unknown,
  seen: (admin: Admin, broker: string) => Promise<unknown>,
): Promise<void> {
  const { kube } = scene
  await kube.patch(kind, 'walked', { spec })
  await isReady(kube, kind, 'walked', readyMs)
  const { status } = await kube.find('brokersets', 'mq-brokers')
  const found = JSON.stringify(await scene.asked((admin) => seen(admin, status.groupStatuses[0].address)))
  check(found === JSON.stringify(wanted), `the broker has ${JSON.stringify(wanted)}, saw ${found}`)
}

async function removed(kube: Kube, kind: string): Promise<void> {
  await kube.remove(kind, 'walked')
  await eventually(`the ${kind} are gone`, readyMs, async () => (await kube.find(kind, 'walked')) === undefined)
}
