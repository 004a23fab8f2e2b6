import { namesrvProgram } from '../../tunables/index.ts'
import { runRole } from '../role.ts'
import { startNameServer } from './server.ts'

/** `node src/main.js namesrv`. */
export function run(args: string[]): Promise<number> {
  return runRole(namesrvProgram, args, startNameServer)
}
