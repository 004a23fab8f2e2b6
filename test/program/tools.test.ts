import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { expect, test } from '@jest/globals'

const root = resolve(import.meta.dirname, '../..')

/** Runs a tool of package.json's scripts to its end. */
function runTool(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 15_000 })
  return { code: status, out: stdout, err: stderr }
}

test('a tool tells its usage, which is how its file begins', () => {
  const { code, out, err } = runTool('scripts/generate.ts', '--help')

  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/^Writes every generated file .*\n {2}npm run generate -- \[--check\]\nWith --check /)
})

test.each([
  [['--sedes', '3'], "Unknown option '--sedes': --help tells the flags\n"],
  [['--seeds'], "Option '--seeds <value>' argument missing: --help tells the flags\n"],
  [['twice'], "Unexpected argument 'twice': --help tells the flags\n"],
])('a tool that is called with %j says what is wrong in a line', (args, said) => {
  expect(runTool('test/sim/run.ts', ...args)).toEqual({ code: 2, out: '', err: said })
})
