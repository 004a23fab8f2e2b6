import { brokerProgram } from '../../tunables/index.ts'
import { runRole } from '../role.ts'
import { startBroker } from './broker.ts'

/** `node src/main.js broker`. */
export function run(args: string[]): Promise<number> {
  return runRole(brokerProgram, args, startBroker)
}
