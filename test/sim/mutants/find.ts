import { runSeeds } from '../workers.ts'
import type { Mutant } from './list.ts'

export interface Search<Outcome> {
  mutants: readonly Mutant[]
  seeds: readonly number[] // tried in this order, until one finds the mutant
  workers: number
  program: string // plants the mutant that its --mutant names: runSeeds
  args?: readonly string[] // of the program, besides
  problemsOf(outcome: Outcome): readonly string[] // any: the mutant is found
}

/**
 * Shows that seeds find bugs that are planted: each mutant in processes of its own, one line each.
 * @returns how many of them no seed found
 */
export async function findMutants<Outcome>(search: Search<Outcome>): Promise<number> {
  const { mutants, seeds, workers, program, args = [], problemsOf } = search
  let missed = 0
  for (const { name } of mutants) {
    let tried = 0
    let problem: string | undefined
    await runSeeds<Outcome>(seeds, { workers, args: [...args, '--mutant', name], program }, (outcome) => {
      tried++
      problem ??= problemsOf(outcome)[0]
      return problem === undefined
    })
    if (problem === undefined) missed++
    const how =
      problem === undefined ? `NOT FOUND in ${tried} seeds` : `found in ${tried} seeds: ${problem.split('\n')[0]}`
    console.log(`${name}: ${how}`)
  }
  return missed
}
