// `npm run local -- up`, `down` and `up` again, as its user runs them: what was there is there.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { silentLog } from '../../src/base/log.ts'
import { nodeDoors } from '../../src/base/node/index.ts'
import { eventually, found } from '../../src/base/testing/eventually.ts'
import { Producer, PushConsumer } from '../../src/client/index.ts'
import { type Body, type KubeServer, startKubeServer } from '../contract/kube-server.ts'

const main = join(import.meta.dirname, '../../src/main.js')
const caseMs = 240_000
const readyMs = 90_000

let parent: string
let folder: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'local-test-'))
  folder = join(parent, 'cluster')
})

afterEach(async () => {
  await local('down', '--delete')
  rmSync(parent, { recursive: true, force: true })
}, caseMs)

/** @returns the exit code and what was said */
function local(...args: string[]): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, 'local', ...args, '--dir', folder, '--port', '0'])
    let said = ''
    child.stdout.on('data', (chunk) => (said += chunk))
    child.stderr.on('data', (chunk) => (said += chunk))
    child.on('close', (code) => resolve({ code, said }))
  })
}

async function up(): Promise<KubeServer> {
  const { code, said } = await local('up')
  expect(said).toContain('The local cluster is running')
  expect(code).toBe(0)
  return startKubeServer(join(folder, 'kubeconfig'))
}

test('a folder of something else is neither used nor deleted', async () => {
  mkdirSync(folder)
  const letter = join(folder, 'letter.txt')
  writeFileSync(letter, 'dear')

  for (const args of [['up'], ['run'], ['down', '--delete']]) {
    const said = expect.stringContaining(`has letter.txt, which is no local cluster's: name another folder with --dir`)
    expect(await local(...args)).toEqual({ code: 2, said })
  }
  expect(readdirSync(folder)).toEqual(['letter.txt'])
  rmSync(letter)
})

test('what is typed wrong is refused with what would be right', async () => {
  expect(await local('upp')).toMatchObject({ code: 2, said: expect.stringContaining('did you mean up?') })
  expect(await local('up', '--delete')).toMatchObject({
    code: 2,
    said: expect.stringContaining('--delete goes with down'),
  })
  expect(await local('status')).toMatchObject({ code: 1, said: expect.stringContaining(`-- up --dir ${folder}\n`) })
})

test(
  'a demo whose output nobody reads any more (head) ends quietly, and leaves nothing behind',
  async () => {
    const temporary = join(parent, 'tmp')
    mkdirSync(temporary)
    const child = spawn(process.execPath, [main, 'local', 'demo', '--port', '0'], {
      env: { ...process.env, TMPDIR: temporary },
    })
    let failure = ''
    child.stderr.on('data', (chunk) => (failure += chunk))
    child.stdout.once('data', () => child.stdout.destroy())

    const code = await new Promise((resolve) => child.on('close', resolve))

    expect({ code, failure }).toEqual({ code: 130, failure: '' })
    expect(readdirSync(temporary).filter((name) => name.startsWith('rocketmq-demo'))).toEqual([])
  },
  caseMs,
)

const ours = '/apis/rocketmq.alt/v1alpha1/namespaces/default'
const resources = [
  ['nameservers', 'NameServer', 'mq', { replicas: 1 }],
  ['brokersets', 'BrokerSet', 'mq-brokers', { nameServerRef: { name: 'mq' }, groups: 1, slavesPerGroup: 0 }],
  ['topics', 'Topic', 'orders', { brokerSetRef: { name: 'mq-brokers' }, queues: { perBroker: 2 } }],
  ['consumergroups', 'ConsumerGroup', 'billing', { brokerSetRef: { name: 'mq-brokers' } }],
] as const

async function allReady(kube: KubeServer): Promise<Body[]> {
  const read = async () => {
    const objects: Body[] = []
    for (const [plural, , name] of resources) objects.push((await kube.call('GET', `${ours}/${plural}/${name}`)).body)
    const isReady = ({ status, metadata }: Body) =>
      status?.observedGeneration === metadata.generation &&
      status.conditions?.some(({ type, status }: Body) => type === 'Ready' && status === 'True')
    return objects.every(isReady) ? objects : undefined
  }
  return found(read, readyMs)
}

/** The bodies that a consumer group gets, in the order of their numbers. */
async function consume(namesrvAddr: string, consumerGroup: string, count: number): Promise<string[]> {
  const bodies: string[] = []
  const consumer = new PushConsumer(
    {
      namesrvAddr,
      consumerGroup,
      subscriptions: { orders: '*' },
      consumeFrom: 'first',
      onMessage: ({ body }) => void bodies.push(body.toString()),
    },
    nodeDoors(silentLog),
  )
  await consumer.start()
  try {
    await eventually(() => expect(bodies.length).toBeGreaterThanOrEqual(count), readyMs)
  } finally {
    await consumer.close() // which stores its offsets
  }
  return bodies.sort()
}

async function produce(namesrvAddr: string, ...bodies: string[]): Promise<void> {
  const producer = new Producer({ namesrvAddr, producerGroup: 'sends', mayCreateTopics: false }, nodeDoors(silentLog))
  for (const body of bodies) expect((await producer.send({ topic: 'orders', body })).status).toBe('SEND_OK')
  await producer.close()
}

async function namesrvAddrOf(kube: KubeServer): Promise<string> {
  const { body } = await kube.call('GET', '/api/v1/namespaces/default/services/mq')
  return `${body.spec.clusterIP}:9876`
}

test(
  'messages, topics, offsets and resources are there again after down and up',
  async () => {
    const first = await up()
    for (const [plural, kind, name, spec] of resources) {
      const object = { apiVersion: 'rocketmq.alt/v1alpha1', kind, metadata: { name }, spec }
      await first.patch('apply-patch+yaml', `${ours}/${plural}/${name}?fieldManager=test`, object)
    }
    const before = await allReady(first)
    const consumed = ['0 consumed', '1 consumed', '2 consumed', '3 consumed']
    const waiting = ['4 waits', '5 waits']
    await produce(await namesrvAddrOf(first), ...consumed)
    expect(await consume(await namesrvAddrOf(first), 'billing', consumed.length)).toEqual(consumed)
    await produce(await namesrvAddrOf(first), ...waiting)
    await first.stop()

    expect(await local('down')).toMatchObject({ code: 0, said: expect.stringContaining('are kept in') })
    expect(await local('status')).toMatchObject({ code: 1 })

    const second = await up()
    const after = await allReady(second)
    const identities = (objects: Body[]) =>
      objects.map(({ metadata: { uid, generation }, spec }) => ({ uid, generation, spec }))
    expect(identities(after)).toEqual(identities(before))
    const namesrvAddr = await namesrvAddrOf(second)
    expect(await consume(namesrvAddr, 'billing', waiting.length)).toEqual(waiting) // none of those it had
    expect(await consume(namesrvAddr, 'auditing', 6)).toEqual([...consumed, ...waiting])
    await second.stop()

    expect(await local('down', '--delete')).toMatchObject({ code: 0 })
    expect(existsSync(folder)).toBe(false)
  },
  caseMs,
)
