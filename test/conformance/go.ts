import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Cluster, projectDir } from '../peers/cluster.ts'
import { cacheDir } from './java.ts'

const run = promisify(execFile)
const buildTimeoutMs = 5 * 60_000
const suiteTimeoutMs = 4 * 60_000
const sourceDir = join(projectDir, 'test/conformance/go')
const outputBytesMax = 64 << 20

/** Before the names of its cases. */
const goPrefix = 'Go 2.1.2: '

/** Apache's Go client with its cases, built. */
export interface GoProject {
  prefix: string
  /** Runs the cases whose names, with the prefix before them, match. @returns what was printed: a JSON line a case */
  run(cluster: Cluster, only: string): Promise<string>
  /** Sends or receives numbered messages, as conformance.Talk. */
  talk(args: readonly string[], timeoutMs: number): Promise<{ stdout: string; code: number }>
}

/** Builds the cases with modules from the Go module proxy; Go's own cache makes it short after the first time. */
export async function prepareGo(say: (text: string) => void): Promise<GoProject> {
  say('building the Go cases')
  mkdirSync(cacheDir, { recursive: true })
  const program = join(cacheDir, 'conformance-go')
  await run('go', ['build', '-o', program, '.'], { cwd: sourceDir, timeout: buildTimeoutMs }).catch((error) => {
    throw new Error(`the Go cases were not built (Go 1.23 or newer is needed): ${error.message}\n${error.stderr ?? ''}`)
  })
  // where broadcasting consumers keep their offsets
  const home = join(projectDir, '.work/conformance/go-home')
  mkdirSync(home, { recursive: true })
  return {
    prefix: goPrefix,
    talk: (args, timeoutMs) =>
      new Promise((resolve, reject) => {
        const limits = { timeout: timeoutMs, killSignal: 'SIGKILL' as const, env: { ...process.env, HOME: home } }
        execFile(program, [...args], limits, (error, stdout, stderr) => {
          if (error?.killed) reject(new Error(`${args[0]} did not end within ${timeoutMs} ms\n${stderr}`))
          else resolve({ stdout: stdout + stderr, code: error === null ? 0 : 1 })
        })
      }),
    run: ({ namesrv, brokerAddr }, only) =>
      new Promise((resolve, reject) => {
        const args = ['-namesrv', namesrv, '-broker', brokerAddr, '-only', only, '-prefix', goPrefix]
        const limits = { timeout: suiteTimeoutMs, killSignal: 'SIGKILL' as const, maxBuffer: outputBytesMax }
        execFile(program, args, { ...limits, env: { ...process.env, HOME: home } }, (error, stdout, stderr) => {
          if (error?.killed) reject(new Error(`the Go cases did not end within ${suiteTimeoutMs} ms\n${stdout}`))
          else if (stdout === '') reject(new Error(`the Go cases did not run:\n${stderr}`))
          else resolve(stdout)
        })
      }),
  }
}
