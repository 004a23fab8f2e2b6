/**
 * The whole way on a real Kubernetes: install, apply, send and receive with Apache's Java client, scale, break, remove.
 *   npm run test:e2e -- [--only REGEX]     cases whose name matches, and what they stand on
 *   npm run test:e2e -- --local            those that need no real node, on the local cluster: Node is all it takes
 * KUBECONFIG names the cluster; without it the kit in ../shared/kube starts one of three nodes on this machine (as root).
 * Ends with `N passed, N failed`; after a failure the state of the cluster is printed and kept in .work/e2e/. What a run that
 * was cut off has left is removed by the next one.
 * E2E_KEEP=1 leaves everything as it is at the end; E2E_IMAGE=present: the nodes of KUBECONFIG have the image already.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { readFlags } from '../../scripts/flags.ts'
import { nodeDrains } from './failures/nodes.ts'
import { operatorFailures } from './failures/operator.ts'
import { podFailures } from './failures/pods.ts'
import { afterwards, idleness } from './features/afterwards.ts'
import { consumerGroups } from './features/consumer-group.ts'
import { contract } from './features/contract.ts'
import { effects } from './features/effects.ts'
import { firstLight, installation } from './features/first-light.ts'
import { localKubectl } from './features/local-kubectl.ts'
import { many } from './features/many.ts'
import { nameServerGoes, nameServers } from './features/name-servers.ts'
import { packaging } from './features/packaging.ts'
import { removal, uninstallation } from './features/removal.ts'
import { replication, replicationRemoval } from './features/replication.ts'
import { rolls } from './features/rolls.ts'
import { scale, scaleIn, scaleInCancelled } from './features/scale.ts'
import { scaleInPolicies } from './features/scale-in.ts'
import { topics } from './features/topics.ts'
import { openCluster } from './harness/cluster.ts'
import { diagnose, diagnoseLocal } from './harness/diagnosis.ts'
import { runLabel } from './harness/kube.ts'
import { Kubectl } from './harness/kubectl.ts'
import { removeLeftovers } from './harness/leftovers.ts'
import { openLocal } from './harness/local.ts'
import { OperatorLog } from './harness/operator-log.ts'
import { ownTalk } from './harness/own-talk.ts'
import { type Case, Scene, Stage } from './harness/stage.ts'
import { Talk } from './harness/talk.ts'
import { Tally } from './harness/tally.ts'

const workDir = join(import.meta.dirname, '../../.work/e2e')
const flags = readFlags(import.meta.filename, {
  only: { type: 'string', default: '' },
  local: { type: 'boolean', default: false },
})
const tally = new Tally(new RegExp(flags.only))
const manyCount = { real: 20, local: 10 }

/** All that stands on the operator. */
const everything: Case[] = [
  ...[firstLight, consumerGroups, scale, podFailures, scaleInCancelled, scaleIn, replication, nameServers, effects],
  ...[nameServerGoes, rolls, topics, scaleInPolicies, operatorFailures, many, idleness, afterwards],
  ...[nodeDrains(() => [])],
].flat()

async function onKubernetes(): Promise<void> {
  const talk = await Talk.prepare()
  const cluster = await openCluster()
  const kubectl = new Kubectl(cluster.env, 'default')
  try {
    await removeLeftovers(kubectl)
    const before = tally.track(kubectl, [...contract, ...localKubectl], async () => {})
    await cluster.loadImage()
    await before

    const log = new OperatorLog(kubectl.in('rocketmq-operator'), join(workDir, 'operator-log'))
    const open = async (namespace: string) => {
      await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: runLabel } })
      return new Stage(kubectl.in(namespace), log, talk, manyCount.real)
    }
    const close = async (stage: Stage) => {
      const { kube } = stage
      await stage.stopFlows()
      await kube.run(['delete', 'namespace', kube.namespace, '--timeout=180s'], { timeoutMs: 200_000 })
    }
    const run = (stage: Stage, cases: Case[], standing: Case[] = []) =>
      tally.track(stage, cases, (folder) => diagnose(stage, join(workDir, folder)), standing)

    const main = await open('e2e')
    if (!(await run(main, installation, everything))) return
    const [copied, named, rolled, crowd] = [
      await open('e2e-copied'),
      await open('e2e-named'),
      await open('e2e-rolled'),
      await open('e2e-many'),
    ]
    const stages = [main, copied, named, rolled, crowd]
    const waiting = [
      { stage: await open('e2e-topics'), cases: topics },
      { stage: await open('e2e-drained'), cases: scaleInPolicies },
    ]
    const tracks: { stage: Stage; base: Case[]; next: Case[]; later: Case[] }[] = [
      {
        stage: main,
        base: firstLight,
        next: [...consumerGroups, ...scale],
        later: [...podFailures, ...scaleInCancelled, ...scaleIn],
      },
      { stage: copied, base: replication.slice(0, 1), next: replication.slice(1), later: [] },
      {
        stage: named,
        base: nameServers.slice(0, 1),
        next: [...nameServers.slice(1), ...effects, ...nameServerGoes],
        later: operatorFailures,
      },
      { stage: rolled, base: nameServers.slice(0, 1), next: rolls, later: [] },
    ]
    const isUp = new Set<Stage>()
    const upon = (stage: Stage, cases: Case[]) => (isUp.has(stage) ? run(stage, cases) : tally.skip(cases))
    // two at a time: more of them only wait for the two processors
    const busy = async () => {
      for (const pair of [tracks.slice(0, 2), tracks.slice(2)]) {
        await Promise.all(
          pair.map(async ({ stage, base, next, later }) => {
            if (await run(stage, base, [...next, ...later])) isUp.add(stage)
            await upon(stage, next)
          }),
        )
      }
    }
    // beside them those that wait for time to pass, and for little else
    const idle = waiting.map(async ({ stage, cases }) => {
      await run(stage, cases)
      await close(stage)
    })
    await Promise.all([busy(), ...idle])
    await run(crowd, many)
    // not beside the others: some of them look at what the operator says at that moment
    for (const pair of [tracks.slice(0, 2), tracks.slice(2)]) {
      await Promise.all(pair.map(({ stage, later }) => upon(stage, later)))
    }
    await run(
      main,
      nodeDrains(() => stages),
    )
    await run(main, idleness) // while messages go through: those are no reason to write
    await Promise.all(stages.map((stage) => stage.stopFlows()))
    await Promise.all([run(main, removal), run(copied, replicationRemoval), ...[named, rolled, crowd].map(close)])
    await run(main, [...afterwards, ...uninstallation])
    await log.stop()
    await run(main, packaging) // last: it begins with nothing
    if (!process.env.E2E_KEEP) await removeLeftovers(kubectl)
  } finally {
    await cluster.close()
  }
}

async function onLocalCluster(): Promise<void> {
  const cluster = await openLocal()
  try {
    const open = async (namespace: string) => {
      const kube = cluster.in(namespace)
      await kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
      return new Scene(kube, ownTalk, manyCount.local)
    }
    const tracks = {
      'e2e-named': [...nameServers, ...effects, ...nameServerGoes],
      'e2e-rolled': [nameServers[0]!, ...rolls],
      'e2e-many': many,
      'e2e-topics': topics,
      'e2e-drained': scaleInPolicies,
    }
    const scenes = await Promise.all(Object.keys(tracks).map(open))
    await Promise.all(
      Object.values(tracks).map((cases, index) => {
        const scene = scenes[index]!
        return tally.track(scene, cases, () => diagnoseLocal(scene, cluster))
      }),
    )
    await Promise.all(scenes.map((scene) => scene.stopFlows()))
  } finally {
    await cluster.close()
  }
}

if (!flags.local) rmSync(workDir, { recursive: true, force: true })
await (flags.local ? onLocalCluster() : onKubernetes()).catch((error) => tally.failedOutside(error))
tally.tell('e2e')
process.exit(tally.failed > 0 ? 1 : 0)
