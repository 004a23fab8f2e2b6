// A few of the end-to-end cases, on the local cluster: `npm run test:e2e -- --local` has all that need no real node.
import { afterAll, beforeAll, test } from '@jest/globals'
import { many } from './features/many.ts'
import { nameServers } from './features/name-servers.ts'
import { rolls } from './features/rolls.ts'
import { diagnoseLocal } from './harness/diagnosis.ts'
import { ownFlow } from './harness/flow.ts'
import { type LocalKubernetes, openLocal } from './harness/local.ts'
import { Scene } from './harness/stage.ts'

const caseMs = 120_000
const manyCount = 4

const selected = [...nameServers, ...rolls.filter(({ name }) => /^a live setting|^a roll by the annotation/.test(name))]
let cluster: LocalKubernetes
let named: Scene
let crowd: Scene
let isBroken = false

async function open(namespace: string): Promise<Scene> {
  const kube = cluster.in(namespace)
  await kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  return new Scene(kube, ownFlow, manyCount)
}

beforeAll(async () => {
  cluster = await openLocal()
  named = await open('named')
  crowd = await open('crowd')
}, caseMs)

afterAll(async () => {
  await named?.stopFlows()
  await cluster?.close()
}, caseMs)

test.each(selected)(
  '$name',
  async ({ isBase, run }) => {
    if (isBroken) throw new Error('the case that this one stands on failed')
    try {
      await run(named)
      await named.settle()
    } catch (error) {
      isBroken = isBase === true
      await diagnoseLocal(named, cluster)
      throw error
    }
  },
  caseMs,
)

test(
  'clusters come together, and go in every order',
  async () => {
    for (const { run } of many) await run(crowd)
  },
  caseMs,
)
