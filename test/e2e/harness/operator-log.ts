import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Item } from './kube.ts'
import type { Kubectl } from './kubectl.ts'
import { WriteDelays } from './write-delays.ts'

const lookMs = 1000

/** The last words of one whose Lease another has, also of a pod removed by force that ends late: its token goes with the object. */
const lastWords = /the lease is lost: another operator may be at work/

/** What every pod of the operator logs, from its first line on, also of those that are killed. */
export class OperatorLog {
  readonly kube: Kubectl
  readonly #folder: string
  readonly #following = new Map<string, ChildProcess>()
  readonly #timer: NodeJS.Timeout
  readonly #forced = new Set<string>()
  readonly #delays: WriteDelays

  constructor(kube: Kubectl, folder: string) {
    this.kube = kube
    this.#delays = new WriteDelays(kube.in('default'))
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
    this.#timer = setInterval(() => void this.#look().catch(() => {}), lookMs) // the next look tries again
    this.#timer.unref()
  }

  /** Says that pods are about to lose their Lease, by force. */
  losesLease(pods: Iterable<string>): void {
    for (const pod of pods) this.#forced.add(pod)
  }

  /** Lines of level error that nothing of the run explains. */
  unexpected(): string[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const isForced = [...this.#forced].some((pod) => name.startsWith(`${pod}-`))
      return readFileSync(join(this.#folder, name), 'utf8')
        .split('\n')
        .filter(
          (line) => isError(line) && !(lastWords.test(line) && (isForced || this.#delays.coincideWith(timeOf(line)))),
        )
        .map((line) => `${name}: ${line}`)
    })
  }

  /** How many pods were heard. */
  get podCount(): number {
    return readdirSync(this.#folder).length
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    for (const child of this.#following.values()) child.kill()
    await this.#delays.stop()
  }

  async #look(): Promise<void> {
    for (const pod of await this.kube.list('pods', 'app.kubernetes.io/name=rocketmq-operator')) {
      const { name, uid } = pod.metadata
      const status = pod.status?.containerStatuses?.[0]
      const id = `${name}-${status?.restartCount}`
      if (status?.state?.running === undefined || this.#following.has(id)) continue
      this.#follow(pod, id, join(this.#folder, `${id}-${uid.slice(0, 4)}.log`))
    }
  }

  #follow(pod: Item, id: string, path: string): void {
    const child = spawn('kubectl', ['-n', this.kube.namespace, 'logs', '-f', pod.metadata.name], {
      env: this.kube.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#following.set(id, child)
    appendFileSync(path, '')
    child.stdout.on('data', (text) => appendFileSync(path, text))
  }
}

function timeOf(line: string): number {
  return Date.parse(JSON.parse(line).time)
}

function isError(line: string): boolean {
  return /"level":"?(error|fatal|50|60)"?[,}]/.test(line)
}
