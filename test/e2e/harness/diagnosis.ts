import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kubectl } from './kubectl.ts'
import { type LocalKubernetes, operatorPod } from './local.ts'
import type { Scene, Stage } from './stage.ts'

const printedLinesMax = 120

/** What one needs to see after a failure: kept whole in a folder, its ends printed. */
export async function diagnose(stage: Stage, dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true })
  const { kube, operator } = stage
  const parts: [string, Kubectl, string[]][] = [
    ['resources', kube, ['get', 'nameservers,brokersets,topics,consumergroups', '-o', 'yaml']],
    ['objects', kube, ['get', 'statefulsets,pods,services,pvc,pdb', '-o', 'wide']],
    ['events', kube, ['get', 'events', '--sort-by=.lastTimestamp']],
    ['pods', kube, ['describe', 'pods']],
    [
      'pod-logs',
      kube,
      [
        'logs',
        '-l',
        'app.kubernetes.io/managed-by=rocketmq-operator',
        '--tail=200',
        '--prefix',
        '--max-log-requests=20',
      ],
    ],
    ['operator-pods', operator, ['describe', 'pods']],
    ['nodes', operator, ['get', 'nodes', '-o', 'wide']],
    [
      'operator-log',
      operator,
      ['logs', '-l', 'app.kubernetes.io/name=rocketmq-operator', '--tail=2000', '--prefix', '--ignore-errors'],
    ],
  ]
  for (const [name, where, args] of parts) {
    // A question that finds no answer, such as the log of a pod that is not there, is itself a finding.
    const text = await where.run(args).catch((error: Error) => error.message)
    writeFileSync(join(dir, `${name}.txt`), text)
    console.log(`--- ${name}\n${text.split('\n').slice(-printedLinesMax).join('\n')}`)
  }
  console.log(`--- all of it: ${dir}`)
}

/** The same of the local cluster: resources without what managers own, and the ends of all logs. */
export async function diagnoseLocal(scene: Scene, cluster: LocalKubernetes): Promise<void> {
  const resources = await scene.kube.list('nameservers,brokersets,topics,consumergroups,pods,events')
  for (const { kind, metadata, spec, status, reason, message } of resources)
    console.log(JSON.stringify({ kind, name: metadata.name, uid: metadata.uid, spec, status, reason, message }))
  const about = [`${scene.kube.namespace}_`, `${operatorPod.namespace}_`]
  for (const { name, text } of cluster.logs().filter((log) => about.some((part) => log.name.includes(`/${part}`))))
    console.log(`--- ${name}\n${text.split('\n').slice(-printedLinesMax).join('\n')}`)
}
