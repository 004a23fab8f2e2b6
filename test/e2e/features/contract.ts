import { join } from 'node:path'
import { command, type Kubectl } from '../harness/kubectl.ts'
import type { Case } from '../harness/stage.ts'

const projectDir = join(import.meta.dirname, '../../..')
const suiteMs = 300_000

/** What `npm test` asks of the local cluster is asked of this API server, before the operator is there. */
export const contract: Case<Kubectl>[] = [
  suite('kube[^/]*', 'the API contract holds on this API server as on the local cluster'),
  suite('fields', 'each field of each resource takes what fits, its limits too, and refuses the rest by its name'),
]

function suite(file: string, name: string): Case<Kubectl> {
  return {
    name,
    async run({ env }) {
      const jest = join(projectDir, 'node_modules/jest/bin/jest.js')
      const flags = ['--experimental-vm-modules', '--no-warnings', jest, `test/contract/${file}.test.ts`]
      await command(process.execPath, flags, {
        cwd: projectDir,
        env: { ...env, KUBECONFIG_CONTRACT: env.KUBECONFIG },
        timeoutMs: suiteMs,
      })
    },
  }
}
