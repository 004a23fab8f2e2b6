import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { apachePeer, type Cluster, projectDir } from '../test/peers/cluster.ts'

const run = promisify(execFile)
const peerHome = process.env.PEER_HOME ?? join(homedir(), '.cache/rocketmq-peer')
const setupTimeoutMs = 10 * 60_000
const commandTimeoutMs = 5 * 60_000

/** One answer of the load client; `load help` describes it. */
// biome-ignore lint/suspicious/noExplicitAny: its form is the load client's
export type LoadResult = any

/** Resolves Apache's libraries and compiles the load client and what keeps it warm; quick when that was done before. */
export async function prepareLoadClient(): Promise<void> {
  await run(join(apachePeer.folder, 'setup'), [], { timeout: setupTimeoutMs })
  mkdirSync(classesDir, { recursive: true })
  const source = join(projectDir, 'bench/java/Serve.java')
  await run('javac', ['--release', '17', '-Xlint:-options', '-cp', peerClassPath(), '-d', classesDir, source], {
    timeout: setupTimeoutMs,
  })
}

const classesDir = join(projectDir, '.work/bench-classes')

function peerClassPath(): string {
  return readFileSync(join(peerHome, 'classpath'), 'utf8').trim()
}

/** A load client that stays for all measurements of one cluster, so that only its first ones need a long warm-up. */
export class LoadClient {
  readonly #cluster: Cluster
  readonly #child: ChildProcess
  readonly #waiting: { resolve(line: string): void; reject(error: Error): void }[] = []
  readonly #seen = new Set<string>()
  #said = ''

  constructor(cluster: Cluster, dir: string) {
    this.#cluster = cluster
    mkdirSync(dir, { recursive: true })
    const flags = ['-Xms512m', '-Xmx512m', `-Duser.home=${dir}`, `-Drocketmq.log.root=${dir}/logs`]
    const javaFlags = [...flags, '-Djava.net.preferIPv4Stack=true', '-XX:-OmitStackTraceInFastThrow']
    this.#child = spawn('java', [...javaFlags, '-cp', `${classesDir}:${peerClassPath()}`, 'Serve'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#waiting.shift()?.resolve(line))
    this.#child.stderr!.on('data', (text) => {
      this.#said = (this.#said + text).slice(-4000)
    })
    this.#child.once('exit', (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the load client ended: ${code}`))
    })
  }

  /**
   * Runs one command of the load client.
   * @param pids whose CPU time and memory it reports, by name
   * @throws when it fails or does not end in time
   */
  async load(args: readonly string[], pids: Record<string, number> = {}): Promise<LoadResult> {
    const watched = Object.entries(pids).map(([name, pid]) => `${name}=${pid}`)
    const watch = watched.length === 0 ? [] : ['--pids', watched.join(';')]
    const answer = new Promise<string>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), commandTimeoutMs)
    try {
      this.#child.stdin!.write(`${[...args, '--namesrv', this.#cluster.namesrv, ...watch].join(' ')}\n`)
      const result = JSON.parse(await answer)
      if (result.failure !== undefined) throw new Error(result.failure)
      return result
    } catch (error) {
      const { message } = error as Error
      throw new Error(`load ${args.join(' ')}: ${message}\n${this.#said}\n${this.#cluster.output()}`)
    } finally {
      clearTimeout(deadline)
    }
  }

  /** Whether this client was asked for the first time. */
  isNew(scenario: string): boolean {
    if (this.#seen.has(scenario)) return false
    this.#seen.add(scenario)
    return true
  }

  close(): void {
    this.#child.stdin!.end()
    this.#child.kill('SIGKILL') // nothing of it is to be kept
  }
}
