/** The servers under attack with a planted bug: node test/fuzz/mutants/target.ts NAME */
import { plant } from '../../sim/mutants/plant.ts'
import { mutantNamed } from './list.ts'

plant(mutantNamed(process.argv[2]!))
await import('../target.ts') // after the bug was planted
