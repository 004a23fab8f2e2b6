import { type ChildProcess, fork } from 'node:child_process'

export interface WorkerOptions {
  workers: number
  /** Of the workers, besides --worker. */
  args: readonly string[]
  /** Started with --worker it calls serveSeeds. */
  program: string
}

/**
 * Runs seeds in other processes, several at a time, each seed once.
 * @param onOutcome false: no more seeds, please
 */
export function runSeeds<Outcome>(
  seeds: readonly number[],
  { workers, args, program }: WorkerOptions,
  onOutcome: (outcome: Outcome) => boolean,
): Promise<void> {
  const waiting = [...seeds]
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const execArgv = ['--no-warnings', '--max-semi-space-size=64'] // MiB: seeds make much garbage and keep little
      const child: ChildProcess = fork(program, ['--worker', ...args], { execArgv })
      const next = () => {
        const seed = waiting.shift()
        if (seed === undefined) child.disconnect()
        else child.send(seed)
      }
      child.on('message', (outcome: Outcome) => {
        if (!onOutcome(outcome)) waiting.length = 0
        next()
      })
      child.on('error', reject)
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with code ${code}`))))
      next()
    })
  return Promise.all(Array.from({ length: Math.min(workers, seeds.length) }, work)).then(() => {})
}

/** What a worker does: each message is a seed, and its outcome goes back. */
export function serveSeeds(runSeed: (seed: number) => Promise<object>): void {
  process.on('message', (seed: number) => void runSeed(seed).then((outcome) => process.send!(outcome)))
}
