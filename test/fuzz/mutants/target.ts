/** The servers under attack with a planted bug: node test/fuzz/mutants/target.ts NAME */
import { plantNamed } from '../../sim/mutants/plant.ts'
import { mutants } from './list.ts'

plantNamed(mutants, process.argv[2]!)
await import('../target.ts') // after the bug was planted
