// End-to-end cases that need no real node, on the local cluster: `npm run test:e2e -- --local` has all of them. Tracks run side
// by side, since their cases mostly wait.
import { afterAll, beforeAll, describe, test } from '@jest/globals'
import { many } from './features/many.ts'
import { nameServers } from './features/name-servers.ts'
import { rolls } from './features/rolls.ts'
import { scaleInPolicies } from './features/scale-in.ts'
import { topics } from './features/topics.ts'
import { diagnoseLocal } from './harness/diagnosis.ts'
import { type LocalKubernetes, openLocal } from './harness/local.ts'
import { ownTalk } from './harness/own-talk.ts'
import { type PortableCase, Scene } from './harness/stage.ts'

const trackMs = 240_000
const manyCount = 5

const tracks: Record<string, PortableCase[]> = {
  named: [...nameServers, ...rolls.filter(({ name }) => /^a live setting|^a roll by the annotation/.test(name))],
  placed: topics,
  drained: scaleInPolicies.filter(({ name, isBase }) => isBase || /^scaleIn (Refuse|Force)/.test(name)), // others wait for minutes
  crowd: many,
}
let cluster: LocalKubernetes
const scenes: Scene[] = []
const results = new Map<PortableCase, Promise<void>>()

beforeAll(async () => {
  cluster = await openLocal()
  for (const [namespace, cases] of Object.entries(tracks)) {
    const kube = cluster.in(namespace)
    await kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    const scene = new Scene(kube, ownTalk, manyCount)
    scenes.push(scene)
    begin(scene, cases)
  }
}, trackMs)

/** Runs the cases in order; the test of each waits for it. */
function begin(scene: Scene, cases: PortableCase[]): void {
  let isBroken = false
  let before = Promise.resolve()
  for (const one of cases) {
    const result = before.then(async () => {
      if (isBroken) throw new Error('the case that this one stands on failed')
      try {
        await one.run(scene)
        await scene.settle()
      } catch (error) {
        isBroken = one.isBase === true
        await diagnoseLocal(scene, cluster)
        throw error
      }
    })
    results.set(one, result)
    before = result.catch(() => {}) // its test tells
  }
}

afterAll(async () => {
  await Promise.allSettled(results.values())
  await Promise.all(scenes.map((scene) => scene.stopFlows()))
  await cluster?.close()
}, trackMs)

describe.each(Object.entries(tracks))('%s', (_, cases) => {
  test.each(cases)('$name', (one) => results.get(one), trackMs)
})
