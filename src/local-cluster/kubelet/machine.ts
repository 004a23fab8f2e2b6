import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import { makeDirectory } from '../../base/node/index.ts'

const logBytesMax = 8 * 1024 * 1024 // at a start; what was there before is kept once

/** Starts a Node program that outlives this one. Its output goes to the end of a file. @returns its process id */
export function startDetached(args: readonly string[], logPath: string): number {
  if ((fs.statSync(logPath, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) fs.renameSync(logPath, `${logPath}.1`)
  const log = fs.openSync(logPath, 'a', 0o600)
  try {
    const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log] })
    child.unref()
    return child.pid ?? -1
  } finally {
    fs.closeSync(log)
  }
}

/** Runs a Node program on this terminal to its end. @returns its exit code, 128 + n when a signal n ended it */
export function runAttached(
  args: readonly string[],
  env: Record<string, string>,
): { ended: Promise<number>; signal(name: NodeJS.Signals): void } {
  const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...env } })
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(1))
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)))
  })
  return { ended, signal: (name) => void child.kill(name) }
}

/** A new folder that only this user can look into. */
export function makeTemporaryFolder(prefix: string): string {
  return fs.mkdtempSync(prefix)
}

/** A folder that only this user can look into: the cluster's token starts processes. */
export function makePrivateFolder(path: string): void {
  makeDirectory(path, 0o700)
  fs.chmodSync(path, 0o700)
}

export function isOurs(path: string): boolean {
  return fs.statSync(path).uid === process.getuid?.()
}

export function signalProcess(pid: number, name: NodeJS.Signals): void {
  if (isRunning(pid)) process.kill(pid, name)
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** What a Node's status says of the machine: quantities of Kubernetes, and its system. */
export function machineOf() {
  const capacity = {
    cpu: String(os.availableParallelism()),
    memory: `${Math.floor(os.totalmem() / 1024)}Ki`,
    pods: '110', // as a kubelet says that is not told otherwise
  }
  const system = { operatingSystem: os.platform(), architecture: os.arch() === 'x64' ? 'amd64' : os.arch() }
  return { capacity, system: { ...system, kernelVersion: os.release(), osImage: os.version() } }
}
