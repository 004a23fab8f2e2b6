import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { OwnProcess } from '../idle-memory.ts'

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

let collect: Collect | undefined

/** What this process takes of the machine. */
export const ownProcess: OwnProcess = {
  cpuMs() {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
  residentBytes: () => process.memoryUsage.rss(),
  collect() {
    if (collect === undefined) {
      setFlagsFromString('--expose-gc') // for contexts made while it is set: this program's own gets no new global
      collect = runInNewContext('gc') as Collect
      setFlagsFromString('--no-expose-gc')
    }
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  },
}
