import { type ChildProcess, fork } from 'node:child_process'
import type { Outcome } from './seed.ts'

/**
 * Runs seeds in other processes, several at a time, each seed once.
 * @param args of the workers, besides --worker
 * @param onOutcome false: no more seeds, please
 */
export function runSeeds(
  seeds: readonly number[],
  { workers, args }: { workers: number; args: readonly string[] },
  onOutcome: (outcome: Outcome) => boolean,
): Promise<void> {
  const waiting = [...seeds]
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const execArgv = ['--no-warnings']
      const child: ChildProcess = fork(`${import.meta.dirname}/run.ts`, ['--worker', ...args], { execArgv })
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
