import { setTimeout as sleep } from 'node:timers/promises'

const pollMs = 1_000 // a kubectl for each look is a tenth of a second of a processor
const progressEveryMs = 15_000

/** An object of Kubernetes, of any kind. */
// biome-ignore lint/suspicious/noExplicitAny: what cases read of it is for the API server to check
export type Item = any

/** On every namespace of a run, so that the next one finds what a run that was cut off left. */
export const runLabel = { 'rocketmq.alt/e2e': 'run' }

/** A namespace of a Kubernetes, in the words that real and local ones understand. Kinds are plurals. */
export interface Kube {
  readonly namespace: string
  /** Another namespace of the same Kubernetes. */
  in(namespace: string): Kube
  apply(...objects: object[]): Promise<void>
  find(kind: string, name: string): Promise<Item | undefined>
  /** @param kinds one or more, joined by commas */
  list(kinds: string, selector?: string): Promise<Item[]>
  /** A merge patch. */
  patch(kind: string, name: string, patch: object): Promise<void>
  /** Asks for the deletion, and does not wait for it. isForced: without a grace period. */
  remove(kind: string, name: string, options?: { isForced?: boolean }): Promise<void>
}

/** What a probe throws when it cannot tell, such as a kubectl that got no answer: it does not hold yet. */
export class NoAnswer extends Error {}

/** Polls until the probe returns true; a text is the reason why it does not hold yet, and is told as progress. */
export async function eventually(
  what: string,
  timeoutMs: number,
  probe: () => Promise<boolean | string>,
): Promise<void> {
  const started = Date.now()
  let toldAt = started
  for (;;) {
    const result = await probe().catch((error) => {
      if (error instanceof NoAnswer) return error.message
      throw error
    })
    if (result === true) return
    const why = typeof result === 'string' ? result.trim() : 'not yet'
    if (Date.now() - started > timeoutMs) throw new Error(`not within ${timeoutMs / 1000} s: ${what}; ${why}`)
    if (Date.now() - toldAt > progressEveryMs) {
      toldAt = Date.now()
      say(`  waiting for: ${what}; ${why.split('\n')[0]}`)
    }
    await sleep(pollMs)
  }
}

/** Waits until the resource is Ready as its spec is now. */
export function isReady(kube: Kube, kind: string, name: string, timeoutMs: number): Promise<void> {
  return eventually(`${kind} ${name} is Ready`, timeoutMs, async () => readiness(await kube.find(kind, name)))
}

/** true, or why not. */
export function readiness(object: Item | undefined): true | string {
  const ready = conditionOf(object, 'Ready')
  const isOfNow = ready?.observedGeneration === undefined || ready.observedGeneration === object.metadata.generation
  return (ready?.status === 'True' && isOfNow) || `${ready?.reason ?? 'no condition yet'}: ${ready?.message ?? ''}`
}

export function conditionOf(object: Item | undefined, type: string): Item | undefined {
  return object?.status?.conditions?.find((condition: Item) => condition.type === type)
}

/** What the operator made and has not removed: with a prefix, of one resource's name on. */
export async function remains(kube: Kube, prefix = ''): Promise<string[]> {
  const items = await kube.list('statefulsets,services,configmaps,pods,poddisruptionbudgets')
  return items
    .filter(({ metadata }) => metadata.name !== 'kube-root-ca.crt' && metadata.name.startsWith(prefix))
    .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
}

/** Waits until nothing that the operator made is left; volumes stay. */
export function isGone(kube: Kube, timeoutMs: number, prefix = ''): Promise<void> {
  return eventually(`nothing of ${prefix || 'it'} is left`, timeoutMs, async () => {
    const left = await remains(kube, prefix)
    return left.length === 0 || `left: ${left.join(', ')}`
  })
}

/** The pods' uid by name: what changes when one is made anew. */
export async function podUids(kube: Kube, selector: string): Promise<Map<string, string>> {
  const pods = await kube.list('pods', selector)
  return new Map(pods.map(({ metadata }): [string, string] => [metadata.name, metadata.uid]).sort())
}

/** When a pod was made, in milliseconds since 1970; Kubernetes writes whole seconds. */
export function madeAt({ metadata }: Item): number {
  return Date.parse(metadata.creationTimestamp)
}

/** Since when a pod has been ready, as madeAt. */
export function readySince(pod: Item): number {
  return Date.parse(conditionOf(pod, 'Ready').lastTransitionTime)
}

/** Progress; in jest it would only hide what jest says. */
export function say(text: string): void {
  if (process.env.JEST_WORKER_ID !== undefined) return
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)
}

export function check(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Error(rule)
}
