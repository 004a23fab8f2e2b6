import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = resolve(import.meta.dirname, '../..')
const stopTimeoutMs = 30_000
const pollMs = 50

/** The operator, started as its pod starts it, and again when it ends by itself. */
export class OperatorProcess {
  readonly #health: string
  readonly startedMs = performance.now()
  #child!: ChildProcess
  #isStopping = false
  /** How often it ended by itself, as it does when it could not renew its Lease in time. */
  restarts = 0

  /** @param nodeArgs of Node itself, such as --cpu-prof */
  constructor(options: { kubeconfig: string; dir: string; healthPort: number; nodeArgs: readonly string[] }) {
    const { kubeconfig, dir, healthPort, nodeArgs } = options
    const args = [
      '--kubeconfig',
      kubeconfig,
      '--lease',
      'rocketmq-operator/rocketmq-operator',
      '--health-port',
      String(healthPort),
    ]
    const start = () => {
      const output = openSync(join(dir, 'operator.log'), 'a')
      this.#child = spawn(process.execPath, [...nodeArgs, join(root, 'src/main.js'), 'operator', ...args], {
        stdio: ['ignore', output, output],
        cwd: dir,
        env: { ...process.env, POD_IP: '127.0.0.1' },
      })
      closeSync(output)
      this.#child.once('exit', () => {
        if (this.#isStopping) return
        this.restarts++
        start()
      })
    }
    start()
    this.#health = `http://127.0.0.1:${healthPort}`
    process.once('exit', () => {
      this.#isStopping = true
      this.#child.kill('SIGKILL')
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Waits until it works and every one of so many resources has had a pass. @returns milliseconds since its start */
  async passedAll(resources: number, timeoutMs: number): Promise<number> {
    while (performance.now() - this.startedMs < timeoutMs) {
      const text = await this.#metrics()
      const sumOf = (metric: string) =>
        [...text.matchAll(new RegExp(`^${metric}{.*} (\\d+)$`, 'gm'))].reduce(
          (sum, [, count]) => sum + Number(count),
          0,
        )
      const isAtWork = /^rocketmq_operator_leader 1$/m.test(text)
      const passes = sumOf('rocketmq_operator_pass_seconds_count')
      if (isAtWork && passes >= resources && sumOf('rocketmq_operator_queue_resources') === 0)
        return performance.now() - this.startedMs
      await sleep(pollMs)
    }
    throw new Error(`the operator was not through with ${resources} resources within ${timeoutMs} ms`)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGTERM')
    const isGone = await Promise.race([once(this.#child, 'exit').then(() => true), sleep(stopTimeoutMs, false)])
    if (!isGone) this.#child.kill('SIGKILL')
  }

  async #metrics(): Promise<string> {
    try {
      return await (await fetch(`${this.#health}/metrics`)).text()
    } catch {
      return '' // it does not listen yet
    }
  }
}

/** CPU seconds that a process has taken. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Resident memory in MiB, now and at most since it started. */
export function memoryOf(pid: number): { rssMiB: number; peakMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
  return { rssMiB: mib('VmRSS'), peakMiB: mib('VmHWM') }
}

/** CPU seconds that all processes of this machine have taken. */
export function machineCpu(): number {
  const [, user = 0, nice = 0, system = 0] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).map(Number)
  return (user + nice + system) / 100
}
