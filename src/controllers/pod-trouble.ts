import type { Pod } from '../kube/index.ts'
import { isOfRole } from './role-name.ts'

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

const wordsLengthMax = 500
/** Reasons of a container that waits for nothing but its turn. */
const ordinary = ['ContainerCreating', 'PodInitializing']

/**
 * Why a pod does not run: what Kubernetes says of it, and how its container ended, with its last words.
 * @param name of the pod, which may not be there: a quota or an admission webhook may keep its StatefulSet from making it
 */
export function podTrouble(pod: Pod | undefined, name: string): string {
  if (!pod) return `the pod does not exist (kubectl describe statefulset ${name.replace(/-\d+$/, '')} says why)`
  const first = pod.status?.initContainerStatuses?.find(({ ready, state }) => !ready && state?.running === undefined)
  const waitedFor = (pod.status?.containerStatuses ?? []).filter(({ ready }) => !ready)
  const oursFirst = [...waitedFor.filter(isOfRole), ...waitedFor.filter((one) => !isOfRole(one))]
  for (const container of first ? [first] : oursFirst) {
    const trouble = containerTrouble(pod, container)
    if (trouble) return isOfRole(container) ? trouble : `${container.name}: ${trouble}`
  }
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False')
  if (unscheduled) return `${unscheduled.reason ?? 'Unscheduled'}: ${unscheduled.message ?? ''}`
  return `${pod.status?.phase ?? 'Pending'}, not ready`
}

function containerTrouble(pod: Pod, container: ContainerStatus): string | undefined {
  const { state, restartCount, ready } = container
  const end = endOf(pod, container)
  const waiting = state?.waiting
  if (waiting?.reason === 'CrashLoopBackOff' && end) return `CrashLoopBackOff after ${end}`
  if (waiting?.reason && !ordinary.includes(waiting.reason)) {
    return [waiting.reason, waiting.message].filter(Boolean).join(': ')
  }
  if (state?.terminated) return `ended with ${end}`
  if (ready || restartCount === 0) return undefined
  const times = `not ready, restarted ${restartCount} ${restartCount === 1 ? 'time' : 'times'}`
  return end ? `${times}, last after ${end}` : times
}

/** How a container ended last; undefined: it has not. */
function endOf(pod: Pod, { name, state, lastState }: ContainerStatus): string | undefined {
  const end = state?.terminated ?? lastState?.terminated
  if (!end) return undefined
  const { exitCode, reason = 'Error' } = end
  if (reason === 'OOMKilled') return `OOMKilled (exit code ${exitCode}): ${memoryRemedy(pod, name)}`
  const signal = signals[exitCode]
  const code = `exit code ${exitCode}${signal === undefined ? '' : ` (${signal})`}`
  const words = lastWords(end.message ?? '')
  const how = reason === 'Error' || reason === 'Completed' ? code : `${reason} (${code})`
  return words === '' ? how : `${how}: ${words}`
}

const signals: Readonly<Record<number, string>> = { 134: 'SIGABRT', 137: 'SIGKILL', 139: 'SIGSEGV', 143: 'SIGTERM' }

function memoryRemedy({ spec }: Pod, name: string): string {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
  const limit = containers.find((one) => one.name === name)?.resources?.limits?.memory
  if (limit === undefined) return 'its node had no memory left; a higher spec.resources.requests.memory keeps it free'
  return `it needed more than its limit of ${limit}; raise spec.resources.limits.memory`
}

/** Frames of a stack, and what Node writes around one: the line that says what happened stands before them. */
const noise = /^(at |\d+: 0x|-{3,}|<-{2,}|Node\.js v|(errno|code|syscall|path|dest|address|port): |[\^{}[\]]+,?$)/

/** A line of our log that Kubernetes cut in front: how bad it was is not known. */
const cut = /"msg":"(?:[^"\\]|\\.)*"\}$/

/** The last line that may say why it ended: of our log errors alone, since a process that is killed was at its usual work. */
function lastWords(message: string): string {
  const lines = message.split('\n').map((line) => line.trim())
  const words =
    lines
      .filter((line) => line !== '' && !noise.test(line))
      .flatMap(plainOf)
      .at(-1) ?? ''
  return words.length > wordsLengthMax ? `${words.slice(0, wordsLengthMax)}…` : words
}

/** What a line of our log says if it is an error; any other line as it is. */
function plainOf(line: string): string | [] {
  try {
    const { level, msg, err } = JSON.parse(line)
    if (typeof msg !== 'string') return line
    if (level !== 'error' && level !== 'fatal') return []
    const why = typeof err === 'string' ? err : err?.message
    return typeof why === 'string' ? `${msg}: ${why}` : msg
  } catch {
    return cut.test(line) ? [] : line
  }
}
