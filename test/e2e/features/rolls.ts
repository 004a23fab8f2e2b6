import { check, eventually, type Item, isReady, type Kube, madeAt, podUids, readySince } from '../harness/kube.ts'
import type { PortableCase, Scene } from '../harness/stage.ts'

const selector = 'rocketmq.alt/broker-set=mq-brokers'
const [master, slave] = ['mq-brokers-0-0', 'mq-brokers-0-1']
const rollMs = 240_000
const anotherImage = 'localhost/rocketmq-operator:another' // on the local cluster, where any of that name is this checkout

/** Every kind of change that restarts brokers, and one that must not. On a cluster with a slave and messages through it. */
export const rolls: PortableCase[] = [
  {
    name: 'a live setting changes on the running brokers: nobody restarts',
    async run(scene) {
      const { kube } = scene
      const before = await podUids(kube, selector)
      check((await settingOf(scene, 'fileReservedTime')) !== '49', 'it has another value yet')
      await patchSpec(kube, { config: { slaveReadEnable: 'true', fileReservedTime: '49' } })
      await eventually('the brokers took it', 60_000, async () => {
        const events = await kube.list('events')
        return events.some(({ reason, involvedObject }) => {
          return reason === 'SettingsChanged' && involvedObject.name === 'mq-brokers'
        })
      })
      await isReady(kube, 'brokersets', 'mq-brokers', 60_000)
      const hours = await settingOf(scene, 'fileReservedTime')
      check(hours === '49', `the broker runs with it, saw ${hours}`)
      check(text(before) === text(await podUids(kube, selector)), 'the same pods run')
    },
  },
  rolled('resources', async (kube) => {
    const resources = { requests: { cpu: '15m', memory: '100Mi' } }
    await patchSpec(kube, { resources })
    return ({ spec }) => spec.containers[0].resources.requests.cpu === '15m'
  }),
  rolled('the podTemplate, each of its fields', async (kube) => {
    const podTemplate = {
      labels: { 'example.com/team': 'a' },
      annotations: { 'example.com/note': 'moved' },
      tolerations: [{ key: 'example.com/broken', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 }],
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      topologySpreadConstraints: [],
      priorityClassName: 'system-cluster-critical',
      imagePullSecrets: [{ name: pullSecret.metadata.name }],
      terminationGracePeriodSeconds: 30,
    }
    await kube.apply(pullSecret) // a kubelet that misses one writes an event about it every minute
    await patchSpec(kube, { podTemplate })
    return ({ metadata, spec }) =>
      metadata.labels['example.com/team'] === 'a' &&
      metadata.annotations['example.com/note'] === 'moved' &&
      spec.tolerations.some(
        ({ key, tolerationSeconds }: Item) => key === 'example.com/broken' && tolerationSeconds === 30,
      ) &&
      spec.priorityClassName === 'system-cluster-critical' &&
      spec.imagePullSecrets[0].name === pullSecret.metadata.name &&
      spec.terminationGracePeriodSeconds === 30
  }),
  rolled('a setting that is not live', async (kube, scene) => {
    await patchSpec(kube, { config: { slaveReadEnable: 'true', fileReservedTime: '49', maxMessageSize: '2000000' } })
    return async () => (await settingOf(scene, 'maxMessageSize')) === '2000000'
  }),
  rolled('the annotation restart-at', async (kube) => {
    await kube.patch('brokersets', 'mq-brokers', { metadata: { annotations: { 'rocketmq.alt/restart-at': 'now' } } })
    return () => true
  }),
  rolled('the image', async (kube) => {
    // The same image under its id is another one to the operator, and the nodes have it.
    const pod = await kube.find('pods', slave)
    const image = pod.status.containerStatuses[0].imageID || anotherImage
    await patchSpec(kube, { image })
    return ({ spec }) => spec.containers[0].image === image
  }),
]

const pullSecret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'registry' },
  type: 'kubernetes.io/dockerconfigjson',
  data: { '.dockerconfigjson': Buffer.from('{"auths":{}}').toString('base64') },
}

/** @param change makes it, and returns what a pod made after it must hold */
function rolled(
  what: string,
  change: (kube: Kube, scene: Scene) => Promise<(pod: Item) => boolean | Promise<boolean>>,
): PortableCase {
  return {
    name: `a roll by ${what}: the slave, then the master, each once`,
    async run(scene) {
      const { kube } = scene
      const before = await podUids(kube, selector)
      const seen = new Map([...before].map(([pod, uid]) => [pod, new Set([uid])]))
      const holds = await change(kube, scene)
      await eventually('both pods are new', rollMs, async () => {
        for (const [pod, uid] of await podUids(kube, selector)) seen.get(pod)?.add(uid)
        return [...seen.values()].every((uids) => uids.size > 1) || text(await podUids(kube, selector))
      })
      await isReady(kube, 'brokersets', 'mq-brokers', rollMs)
      for (const [pod, uid] of await podUids(kube, selector)) {
        seen.get(pod)?.add(uid)
        check(seen.get(pod)?.size === 2, `${pod} was restarted once, saw ${seen.get(pod)?.size} pods of that name`)
        check(await holds(await kube.find('pods', pod)), `${pod} has what was changed`)
      }
      const [first, second] = [await kube.find('pods', slave), await kube.find('pods', master)]
      check(readySince(first) <= madeAt(second), 'the slave went first, and was ready before the master went')
    },
  }
}

/** What the master says that a setting of it is. */
async function settingOf(scene: Scene, name: string): Promise<string | undefined> {
  const { status } = await scene.kube.find('brokersets', 'mq-brokers')
  const settings = await scene.asked((admin) => admin.brokerConfig(status.groupStatuses[0].address))
  return settings.get(name)
}

function patchSpec(kube: Kube, spec: object): Promise<void> {
  return kube.patch('brokersets', 'mq-brokers', { spec })
}

function text(uids: Map<string, string>): string {
  return JSON.stringify([...uids])
}
