import { spawn } from 'node:child_process'
import { eventually, type Item, type Kube, NoAnswer, readiness } from './kube.ts'

export { eventually, say } from './kube.ts'

const commandTimeoutMs = 60_000
const helmTimeoutMs = 330_000 // Helm waits for 300 s by itself

/** The command failed; its message holds what it printed. */
export class CommandError extends NoAnswer {
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
export class Kubectl implements Kube {
  readonly namespace: string
  readonly env: NodeJS.ProcessEnv

  constructor(env: NodeJS.ProcessEnv, namespace: string) {
    this.env = env
    this.namespace = namespace
  }

  /** Another namespace of the same cluster. */
  in(namespace: string): Kubectl {
    return new Kubectl(this.env, namespace)
  }

  run(args: string[], options: { input?: string; timeoutMs?: number } = {}): Promise<string> {
    return command('kubectl', ['-n', this.namespace, ...args], { env: this.env, ...options })
  }

  /** Helm, at work in this namespace. Its own waits are as long as the command may take. */
  helm(args: string[], { timeoutMs = helmTimeoutMs } = {}): Promise<string> {
    return command('helm', ['-n', this.namespace, ...args], { env: this.env, timeoutMs })
  }

  async apply(...objects: object[]): Promise<void> {
    await this.run(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) })
  }

  async find(kind: string, name: string): Promise<Item | undefined> {
    const text = await this.run(['get', kind, name, '--ignore-not-found', '-o', 'json'])
    return text === '' ? undefined : JSON.parse(text)
  }

  async list(kinds: string, selector?: string): Promise<Item[]> {
    return (await this.get(kinds, ...(selector === undefined ? [] : ['-l', selector]))).items
  }

  async patch(kind: string, name: string, patch: object): Promise<void> {
    await this.run(['patch', kind, name, '--type=merge', '-p', JSON.stringify(patch)])
  }

  async remove(kind: string, name: string, { isForced = false } = {}): Promise<void> {
    const force = isForced ? ['--grace-period=0', '--force'] : []
    await this.run(['delete', kind, name, '--wait=false', ...force])
  }

  async get(...args: string[]): Promise<Item> {
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
    await eventually(`${resource} is Ready`, timeoutMs, async () => readiness(await this.get(resource)))
  }
}
