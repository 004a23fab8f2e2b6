import { expect, test } from '@jest/globals'
import { label } from '../../crds/index.ts'
import { nameServer, pod } from '../testing/resources.ts'
import { objectsOf } from './objects.ts'
import { plan } from './plan.ts'

const image = 'localhost/mq:1'
const address = 'mq-0.mq-headless.shop.svc:9876;mq-1.mq-headless.shop.svc:9876'

function hashOf(desired = nameServer()): string {
  return objectsOf(desired, undefined, image).podHash
}

function readyOf({ verdicts }: ReturnType<typeof plan>) {
  return verdicts.find(({ type }) => type === 'Ready')
}

test('is ready when every pod is, and then says so once', () => {
  const pods = [pod('mq-0', { hash: hashOf() }), pod('mq-1', { hash: hashOf() })]

  const planned = plan(nameServer(), pods, undefined, image)

  expect(readyOf(planned)).toMatchObject({ status: 'True', reason: 'AllReady' })
  expect(planned.notes).toMatchObject([{ reason: 'NameServersReady' }])
  expect(planned.status).toMatchObject({ replicas: 2, readyReplicas: 2, address })
  expect(planned.status.selector).toBe(`${label.nameServer}=mq`)
})

test('the address is published when every member exists, ready or not', () => {
  const incomplete = plan(nameServer(), [pod('mq-0')], undefined, image)
  const complete = plan(nameServer(), [pod('mq-0'), pod('mq-1', { ready: false })], undefined, image)

  expect(incomplete.status.address).toBeUndefined()
  expect(complete.status.address).toBe(address)
})

test('the last whole address stays while a member is replaced', () => {
  const planned = plan(nameServer({}, { address }), [pod('mq-1')], undefined, image)

  expect(planned.status.address).toBe(address)
  expect(readyOf(planned)).toMatchObject({ status: 'False', reason: 'PodsNotReady' })
})

test('a change of settings is not ready before every pod has it', () => {
  const desired = nameServer({ config: { scanNotActiveBrokerInterval: '3000' } })
  const pods = [pod('mq-0', { hash: hashOf() }), pod('mq-1', { hash: hashOf(desired) })]

  expect(hashOf(desired)).not.toBe(hashOf())
  expect(readyOf(plan(desired, pods, undefined, image))).toMatchObject({ status: 'False', reason: 'RollingOut' })
})

test('why a pod does not run is in the message', () => {
  const stuck = pod('mq-1', { ready: false })
  stuck.status = {
    containerStatuses: [{ state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } } } as never],
  }

  expect(readyOf(plan(nameServer(), [pod('mq-0'), stuck], undefined, image))?.message).toContain(
    'ErrImagePull: no such image',
  )
})
