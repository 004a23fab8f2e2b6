import { expect, test } from '@jest/globals'
import type { Pod } from '../kube/index.ts'
import { podTrouble } from './pod-trouble.ts'
import { pod } from './testing/resources.ts'

/** A pod that is not ready, with the status of its one container. */
function broken(container: object, more: object = {}): Pod {
  const one = pod('b-0-0', { ready: false })
  const status = { ...one.status, containerStatuses: [{ name: 'broker', ready: false, restartCount: 0, ...container }] }
  const spec = { containers: [{ name: 'broker' }] }
  return { ...one, spec, status, ...more } as unknown as Pod
}

const crashing = (terminated: object, more: object = {}) =>
  broken(
    {
      restartCount: 5,
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 2m40s restarting failed container=broker' } },
      lastState: { terminated: { reason: 'Error', exitCode: 1, ...terminated } },
    },
    more,
  )

const limited = { spec: { containers: [{ name: 'broker', resources: { limits: { memory: '256Mi' } } }] } }
const refused = 'SETTING_INVALID: a setting has a value that does not fit (key=listenPort)'
const logLine = (level: string, msg: string) => JSON.stringify({ level, component: 'broker', msg })
const cutLine = logLine('info', 'registered').slice(20) // Kubernetes keeps the last 2,048 bytes
const stack = `Error: boom
    at start (/app/src/main.ts:1:2)
    at async main (/app/src/main.ts:3:4) {
  errno: -13,
  code: 'EACCES',
}

Node.js v26.10.0
`

test.each<[string, Pod | undefined, string]>([
  ['no pod', undefined, 'the pod does not exist (kubectl describe statefulset b-0 says why)'],
  ['a pod that starts', broken({ state: { waiting: { reason: 'ContainerCreating' } } }), 'Running, not ready'],
  [
    'a refused setting',
    crashing({ message: `{"level":"info","msg":"starts"}\n${refused}\n` }),
    `exit code 1: ${refused}`,
  ],
  ['a bug', crashing({ message: stack }), 'exit code 1: Error: boom'],
  [
    'a line of the log',
    crashing({ message: '{"level":"fatal","err":{"message":"no space"},"msg":"the store cannot be flushed"}\n' }),
    'exit code 1: the store cannot be flushed: no space',
  ],
  [
    'an error, and what was written after it',
    crashing({ message: `${logLine('error', 'the disk is full')}\n${logLine('info', 'stopping')}\n` }),
    'exit code 1: the disk is full',
  ],
  [
    'a heap that is full',
    crashing({
      exitCode: 134,
      message: '<--- JS stacktrace --->\n\nFATAL ERROR: out of memory\n----- Native stack\n 1: 0xe8\n',
    }),
    'exit code 134 (SIGABRT): FATAL ERROR: out of memory',
  ],
  [
    'too little memory',
    crashing({ reason: 'OOMKilled', exitCode: 137 }, limited),
    'OOMKilled (exit code 137): it needed more than its limit of 256Mi; raise spec.resources.limits.memory',
  ],
  ['a full node', crashing({ reason: 'OOMKilled', exitCode: 137 }), 'spec.resources.requests.memory'],
  ['a killed process', crashing({ exitCode: 137 }), 'exit code 137 (SIGKILL)'],
  [
    'a program that is not there',
    crashing({ reason: 'StartError', exitCode: 128, message: 'exec: "namesrv": not found' }),
    'StartError (exit code 128): exec: "namesrv": not found',
  ],
  [
    'one that runs again',
    broken({ restartCount: 1, state: { running: {} }, lastState: { terminated: { exitCode: 1, message: 'why' } } }),
    'not ready, restarted 1 time, last after exit code 1: why',
  ],
  [
    'one that ended just now',
    broken({ state: { terminated: { exitCode: 1, reason: 'Error', message: 'why' } } }),
    'ended with exit code 1: why',
  ],
])('%s', (_, found, says) => {
  expect(podTrouble(found, 'b-0-1')).toContain(says)
})

test('what a process that was killed told of its work is not why it ended', () => {
  const message = [cutLine, logLine('info', 'topic changed'), logLine('warn', 'the name does not resolve')].join('\n')

  expect(podTrouble(crashing({ exitCode: 137, message }), 'b-0-1')).toBe(
    'CrashLoopBackOff after exit code 137 (SIGKILL)',
  )
})

test('of a container that crashes again and again no back-off time is told: each would be another message', () => {
  expect(podTrouble(crashing({ message: 'why' }), 'b-0-1')).toBe('CrashLoopBackOff after exit code 1: why')
})

test('a first container that fails is the reason, by its name', () => {
  const one = broken({ state: { waiting: { reason: 'PodInitializing' } } })
  const state = { terminated: { reason: 'Error', exitCode: 1, message: 'chown: not permitted' } }
  one.status!.initContainerStatuses = [{ name: 'hand-over-volume', ready: false, restartCount: 0, state }] as never

  expect(podTrouble(one, 'b-0-1')).toBe('hand-over-volume: ended with exit code 1: chown: not permitted')
})

test('what is said is of our container, wherever it stands; of another one where ours has no trouble of its own', () => {
  const one = crashing({ message: 'why' })
  const [ours] = one.status!.containerStatuses!
  const proxy = (ready: boolean, state: object) => ({ name: 'proxy', ready, restartCount: 0, state })
  const withProxy = (status: object, broker = ours) =>
    ({ ...one, status: { ...one.status, containerStatuses: [status, broker] } }) as Pod

  const told = 'CrashLoopBackOff after exit code 1: why'
  expect(podTrouble(withProxy(proxy(true, { running: {} })), 'b-0-1')).toBe(told)
  const failed = proxy(false, { terminated: { reason: 'Error', exitCode: 3 } })
  expect(podTrouble(withProxy(failed), 'b-0-1')).toBe(told)
  const ofProxy = 'proxy: ended with exit code 3'
  expect(podTrouble(withProxy(failed, { ...ours!, ready: true }), 'b-0-1')).toBe(ofProxy)
  const runs = { name: 'broker', ready: false, restartCount: 0, state: { running: {} } } as never // it may need the proxy
  expect(podTrouble(withProxy(failed, runs), 'b-0-1')).toBe(ofProxy)
})

test('what a container wrote last is cut', () => {
  const said = podTrouble(crashing({ message: 'x'.repeat(2048) }), 'b-0-1')

  expect(said.length).toBeLessThan(550)
  expect(said.endsWith('x…')).toBe(true)
})
