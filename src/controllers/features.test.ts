import { expect, test } from '@jest/globals'
import type { HttpRequest, HttpResponse } from '../base/http.ts'
import { type Log, type LogFields, silentLog } from '../base/log.ts'
import { nodeRandom } from '../base/node/random.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { EventRecorder, type KubeObject } from '../kube/index.ts'
import { MemoryApi } from '../kube/testing/memory-api.ts'
import { disabledFeatures, sayDisabled } from './features.ts'

const pod: KubeObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'operator-1', namespace: 'rocketmq-operator', uid: 'u' },
}

/** An API server that answers so where one of these is asked for. */
class StrictApi extends MemoryApi {
  readonly #status: number
  readonly #words: readonly string[]

  constructor(status: number, words: readonly string[]) {
    super()
    this.#status = status
    this.#words = words
  }

  override async request(request: HttpRequest): Promise<HttpResponse> {
    const response = await super.request(request)
    return this.#words.some((word) => request.url.includes(word)) ? { ...response, status: this.#status } : response
  }
}

const all = ['namespaces?', 'storageclasses', 'customresourcedefinitions']
const disabled = (status: number, words: readonly string[], seen: readonly string[] = []) =>
  disabledFeatures(new StrictApi(status, words).client('test'), seen)

test('an operator that may read what it needs has all features', async () => {
  expect(await disabled(403, [])).toEqual([])
})

test('one that may not has what it may', async () => {
  expect(await disabled(403, all)).toEqual(['namespaceSelectors', 'storageClasses', 'definitionCheck'])
  expect(await disabled(403, ['storageclasses'])).toEqual(['storageClasses'])
})

test('one that looks at some namespaces does not lack the labels of others', async () => {
  expect(await disabled(403, all, ['shop'])).toEqual(['storageClasses', 'definitionCheck'])
})

test('what an API server does not have is not forbidden, and one that does not answer is not asked on', async () => {
  expect(await disabled(404, ['storageclasses'])).toEqual([])
  await expect(disabled(500, ['storageclasses'])).rejects.toMatchObject({ code: 'KUBE_REFUSED' })
})

test('it is said in the log and at the pod, with what helps; outside of a pod in the log alone', async () => {
  const say = async (about: KubeObject | undefined) => {
    const api = new MemoryApi()
    const clock = new ManualClock()
    const said: LogFields[] = []
    const log: Log = { ...silentLog, warn: (fields) => void said.push(fields) }
    const recorder = new EventRecorder(api.client('test'), 'test', { clock, random: nodeRandom, log: silentLog })
    sayDisabled(['namespaceSelectors'], recorder, about, log)
    await clock.turn()
    return { said, events: [...api.objects.values()] }
  }

  const { said, events } = await say(pod)
  expect(said).toEqual([expect.objectContaining({ feature: 'namespaceSelectors', reads: 'list namespaces' })])
  expect(events).toMatchObject([
    {
      type: 'Warning',
      reason: 'FeatureDisabled',
      involvedObject: { kind: 'Pod', name: 'operator-1', uid: 'u' },
      message:
        'allowedNamespaces with a selector lets nobody in: this operator may not list namespaces. ' +
        'To mend it apply deploy/install.yaml again, or upgrade the release of the chart, and restart the operator',
    },
  ])
  expect(await say(undefined)).toMatchObject({ said: [{ feature: 'namespaceSelectors' }], events: [] })
})
