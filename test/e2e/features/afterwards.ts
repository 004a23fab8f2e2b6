import { setTimeout as sleep } from 'node:timers/promises'
import { isLed } from '../failures/operator.ts'
import { check, eventually, type Item } from '../harness/kube.ts'
import type { Kubectl } from '../harness/kubectl.ts'
import type { Case } from '../harness/stage.ts'

const idleMs = 60_000
const windows = 3 // Kubernetes writes now and then; the operator must not in any of them
const ourManager = /^rocketmq-/

/** Writes that an idle Kubernetes makes by itself, as resource/subresource, and the operator's Lease. */
const idleWrites = new Set([
  'leases', // the operator's one, and those of nodes and of the API server
  'nodes/status', // kubelets
  'serviceaccounts/token', // kubelets, for pods
  'tokenreviews', // of who asks the kubelet or the operator's metrics
  'subjectaccessreviews',
  'apiservices/status',
  'flowschemas/status',
])

/** While all clusters are there and nobody does anything. */
export const idleness: Case[] = [
  {
    name: `nothing is written for ${idleMs / 1000} s when nothing happens, but the Lease`,
    async run({ kube, operator }) {
      await eventually('the operator is at work', 60_000, () => isLed(operator))
      let before = await writes(kube)
      check(before.has('PATCH nameservers/status'), `what operators write is counted, saw ${[...before.keys()]}`)
      await eventually('what was under way is over', 120_000, async () => {
        await sleep(10_000) // time is what is looked for
        const now = await writes(kube)
        const more = difference(before, now)
        before = now
        return more.length === 0 || more.join(', ')
      })
      const seen: string[] = []
      for (let window = 1; window <= windows; window++) {
        const started = Date.now()
        await sleep(idleMs)
        const now = await writes(kube)
        const more = difference(before, now)
        before = now
        if (more.length === 0) return
        const changed = await changedSince(kube, more, started)
        seen.push(`${more.join(', ')} (${changed.map(({ text }) => text).join('; ') || 'nothing tells by whom'})`)
        // who deleted something is told by nothing
        const isTold = more.every(
          (write) => !write.includes(' DELETE') && changed.some(({ what }) => write.endsWith(` ${what}`)),
        )
        const isForeign = isTold && changed.every(({ manager }) => !ourManager.test(manager))
        check(isForeign, `no write but those of Kubernetes itself, saw ${seen.at(-1)}`)
      }
      check(false, `no write in one of ${windows} windows, saw ${seen.join('\n')}`)
    },
  },
]

/** When everything that was applied is deleted. */
export const afterwards: Case[] = [
  {
    name: 'the operator logged no error that nothing explains',
    async run({ operatorLog }) {
      check(operatorLog.podCount >= 2, `the logs of all pods were heard, saw ${operatorLog.podCount}`)
      const lines = operatorLog.unexpected()
      check(lines.length === 0, `no line of level error, saw ${lines.length}:\n${lines.slice(0, 10).join('\n')}`)
    },
  },
]

/** How often the API server was asked to change something, by verb and resource. Source: its apiserver_request_total. */
async function writes(kube: Kubectl): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const line of (await kube.run(['get', '--raw', '/metrics'])).split('\n')) {
    const [, labels, count] = /^apiserver_request_total\{(.*)\} (\S+)$/.exec(line) ?? []
    if (labels === undefined) continue
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? ''
    const resource = [label('resource'), label('subresource')].filter(Boolean).join('/')
    // the scheduler writes the end of a series of its events minutes later; the operator's events are of the core group
    if (resource === 'events' && label('group') === 'events.k8s.io') continue
    if (!/^(POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION)$/.test(label('verb')) || idleWrites.has(resource)) continue
    const key = `${label('verb')} ${resource}`
    counts.set(key, (counts.get(key) ?? 0) + Number(count))
  }
  return counts
}

function difference(before: Map<string, number>, after: Map<string, number>): string[] {
  return [...after]
    .map(([key, count]): [string, number] => [key, count - (before.get(key) ?? 0)])
    .filter(([, more]) => more > 0)
    .map(([key, more]) => `${more} × ${key}`)
}

/** Who changed which objects of the resources that were written: what their managed fields tell. */
async function changedSince(kube: Kubectl, written: string[], since: number) {
  const resources = new Set(written.map((text) => text.replace(/^.* /, '').replace(/\/.*$/, '')))
  const changes: { manager: string; what: string; text: string }[] = []
  for (const resource of resources) {
    const { items } = await kube.get(resource, '-A', '--show-managed-fields')
    for (const { metadata, reason } of items as Item[]) {
      for (const { manager, operation, subresource, time } of metadata.managedFields ?? []) {
        if (Date.parse(time) < since - 1_000) continue // whole seconds
        const what = [resource, subresource].filter(Boolean).join('/')
        const name = `${metadata.namespace ?? ''}/${metadata.name}`
        changes.push({ manager, what, text: `${time} ${manager} ${operation} ${what} ${name} ${reason ?? ''}`.trim() })
      }
    }
  }
  return changes
}
