import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

const commandTimeoutMs = 60_000
const helmTimeoutMs = 330_000 // Helm waits for 300 s by itself
const pollMs = 500
const progressEveryMs = 15_000

/** The command failed; its message holds what it printed. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** Runs a command to its end and returns its stdout. @throws CommandError on a failure or after timeoutMs */
export function command(
  file: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string; timeoutMs?: number } = {},
): Promise<string> {
  const { timeoutMs = commandTimeoutMs, input, ...rest } = options
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...rest,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else reject(new CommandError(`${file} ${args.join(' ')} ended with ${signal ?? code}\n${stdout}${stderr}`))
    })
    child.stdin.on('error', () => {}) // a command that does not read its input may end before it is written
    child.stdin.end(input)
  })
}

/** A namespace of the cluster, in the words of its tests. */
export class Kubectl {
  readonly namespace: string
  readonly #env: NodeJS.ProcessEnv

  constructor(env: NodeJS.ProcessEnv, namespace: string) {
    this.#env = env
    this.namespace = namespace
  }

  /** Another namespace of the same cluster. */
  in(namespace: string): Kubectl {
    return new Kubectl(this.#env, namespace)
  }

  run(args: string[], options: { input?: string; timeoutMs?: number } = {}): Promise<string> {
    return command('kubectl', ['-n', this.namespace, ...args], { env: this.#env, ...options })
  }

  /** Helm, at work in this namespace. Its own waits are as long as the command may take. */
  helm(args: string[], { timeoutMs = helmTimeoutMs } = {}): Promise<string> {
    return command('helm', ['-n', this.namespace, ...args], { env: this.#env, timeoutMs })
  }

  // biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes, of any kind
  async get(...args: string[]): Promise<any> {
    return JSON.parse(await this.run(['get', ...args, '-o', 'json']))
  }

  async conditionOf(
    resource: string,
    type: string,
  ): Promise<{ status: string; reason: string; message: string; lastTransitionTime: string } | undefined> {
    const object = await this.get(resource)
    return object.status?.conditions?.find((condition: { type: string }) => condition.type === type)
  }

  /** Waits until the resource is Ready as its spec is now. */
  async ready(resource: string, timeoutMs: number): Promise<void> {
    await eventually(`${resource} is Ready`, timeoutMs, async () => {
      const object = await this.get(resource)
      const ready = object.status?.conditions?.find((condition: { type: string }) => condition.type === 'Ready')
      const isNow = ready?.observedGeneration === undefined || ready.observedGeneration === object.metadata.generation
      return (ready?.status === 'True' && isNow) || `${ready?.reason ?? 'no condition yet'}: ${ready?.message ?? ''}`
    })
  }
}

/**
 * Polls until the probe returns true; a text is the reason why it does not hold yet, and is told as progress. A command that
 * fails does not hold yet either.
 */
export async function eventually(
  what: string,
  timeoutMs: number,
  probe: () => Promise<boolean | string>,
): Promise<void> {
  const started = Date.now()
  let toldAt = started
  for (;;) {
    const result = await probe().catch((error) => {
      if (error instanceof CommandError) return error.message
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

export function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)
}
