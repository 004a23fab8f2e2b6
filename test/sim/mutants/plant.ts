import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Mutant } from './list.ts'

const root = resolve(import.meta.dirname, '../../..')

/** @throws Error when no mutant has the name; and see plant */
export function plantNamed(mutants: readonly Mutant[], name: string): void {
  const mutant = mutants.find((one) => one.name === name)
  if (mutant === undefined) throw new Error(`no mutant is named ${name}`)
  plant(mutant)
}

/** From now on the file is loaded with its bug. @throws Error when the place that the bug goes to is not there exactly once */
function plant({ name, file, find, replaceBy }: Mutant): void {
  const { href } = pathToFileURL(join(root, file))
  const check = (source: string) => {
    if (source.split(find).length === 2) return
    throw new Error(`mutant ${name}: ${file} does not have its place once: ${find}`)
  }
  check(readFileSync(join(root, file), 'utf8')) // one that is nowhere to be loaded would go unnoticed
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== href) return loaded
      const source = String(loaded.source)
      check(source)
      return { ...loaded, source: source.replace(find, () => replaceBy) }
    },
  })
}
