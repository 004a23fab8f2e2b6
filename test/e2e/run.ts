/**
 * The whole way on a real Kubernetes: install, apply, send and receive with Apache's Java client, scale, break, remove.
 *   npm run test:e2e -- [--only REGEX]
 * KUBECONFIG names the cluster; without it the kit in ../shared/kube starts one of three nodes on this machine (as root).
 * Ends with `N passed, N failed`; after a failure the state of the cluster is printed and kept in .work/e2e/.
 * E2E_KEEP=1 leaves everything as it is at the end; E2E_IMAGE=present: the nodes of KUBECONFIG have the image already.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { podFailures } from './failures/pods.ts'
import { consumerGroups } from './features/consumer-group.ts'
import { firstLight } from './features/first-light.ts'
import { packaging } from './features/packaging.ts'
import { removal } from './features/removal.ts'
import { replication } from './features/replication.ts'
import { scale, scaleIn } from './features/scale.ts'
import { openCluster } from './harness/cluster.ts'
import { diagnose } from './harness/diagnosis.ts'
import { Kubectl, say } from './harness/kubectl.ts'
import { type Case, Stage } from './harness/stage.ts'
import { Talk } from './harness/talk.ts'

const workDir = join(import.meta.dirname, '../../.work/e2e')
const { values: flags } = parseArgs({ options: { only: { type: 'string', default: '' } } })
const cases: Case[] = [
  ...firstLight,
  ...consumerGroups,
  ...scale,
  ...podFailures,
  ...replication,
  ...scaleIn,
  ...removal,
  ...packaging, // last: it begins with nothing
]

async function main(): Promise<number> {
  rmSync(workDir, { recursive: true, force: true })
  const talk = await Talk.prepare()
  const cluster = await openCluster()
  const kube = new Kubectl(cluster.env, 'e2e')
  const stage = new Stage(kube, new Kubectl(cluster.env, 'rocketmq-operator'), talk)
  let passed = 0
  let failed = 0
  try {
    await kube.run(['create', 'namespace', kube.namespace])
    const wanted = cases.filter(({ name }) => new RegExp(flags.only).test(name))
    for (const { name, run } of wanted) {
      const started = Date.now()
      say(name)
      try {
        await run(stage)
        passed++
        say(`  passed (${((Date.now() - started) / 1000).toFixed(1)} s)`)
      } catch (error) {
        failed++
        say(`  FAILED: ${error instanceof Error ? error.message : error}`)
        await diagnose(stage, join(workDir, `failure-${failed}`))
        if (firstLight.some((each) => each.name === name)) {
          say('the cases that are left need this one: not run')
          failed += wanted.length - passed - failed
          break
        }
      }
    }
    if (!process.env.E2E_KEEP)
      await kube.run(['delete', 'namespace', kube.namespace, '--timeout=120s'], { timeoutMs: 150_000 })
  } finally {
    await cluster.close()
  }
  console.log(`e2e: ${passed} passed, ${failed} failed`)
  return failed
}

process.exitCode = (await main()) > 0 ? 1 : 0
