import { deckOf } from '../deck.ts'
import { runSeed } from '../seed.ts'
import { Servers } from '../servers.ts'
import { type FuzzMutant, mutants } from './list.ts'

const seedsMax = 3 // a busy machine can hide what comes too late
const controlAttacks = 48
const mutantsAtOnce = 2

/** Says whether each planted bug is found, and that none is found where none is. @returns how many times it was not so */
export async function findMutants(only: string): Promise<number> {
  const some = mutants.filter(({ name }) => name.includes(only))
  if (some.length === 0) throw new Error(`no mutant has "${only}" in its name`)
  let missed = (await isSilent(some)) ? 0 : 1
  const left = [...some]
  const worker = async () => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) if (!(await isFound(mutant))) missed++
  }
  await Promise.all(Array.from({ length: mutantsAtOnce }, worker))
  console.log(`fuzz: ${some.length + 1 - missed} passed, ${missed} failed`)
  return missed
}

/** The attacks that find the bugs, without any. */
async function isSilent(some: readonly FuzzMutant[]): Promise<boolean> {
  const deck = [...new Set(some.map(({ by }) => by))].flatMap(deckOf)
  const servers = new Servers()
  const { problems } = await runSeed(1, { deck, attacks: controlAttacks, parallel: controlAttacks }, servers)
  servers.end()
  console.log(problems.length === 0 ? 'no bug: nothing was found' : `no bug: FOUND ${lineOf(problems[0]!)}`)
  return problems.length === 0
}

async function isFound(mutant: FuzzMutant): Promise<boolean> {
  const startedAtMs = performance.now()
  const seen: string[] = []
  for (let seed = 1; seed <= seedsMax; seed++) {
    const problems = await problemsOf(mutant, seed)
    const found = problems.find((problem) => mutant.shows.test(problem))
    seen.push(...problems)
    if (found === undefined) continue
    const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
    console.log(`${mutant.name}: found in ${seed} seeds, ${seconds} s: ${lineOf(found)}`)
    return true
  }
  console.log(`${mutant.name}: NOT FOUND in ${seedsMax} seeds${seen.length === 0 ? '' : `, but ${lineOf(seen[0]!)}`}`)
  return false
}

async function problemsOf({ name, by, attacks }: FuzzMutant, seed: number): Promise<string[]> {
  const servers = new Servers(name)
  const { problems } = await runSeed(seed, { deck: deckOf(by), attacks, parallel: attacks }, servers)
  servers.end()
  return problems
}

const lineOf = (problem: string) => problem.split('\n')[0]!.slice(0, 200)
