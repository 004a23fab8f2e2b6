/**
 * Asks Apache's Go client for the frames that it makes of each of its request headers, in both serialisations (go/main.go).
 *
 *     node test/contract/record-go.ts
 *
 * Go 1.23 or newer; modules come from the Go module proxy. The client orders the fields of a frame as chance has it.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GoVector, goVectorsPath } from './headers.ts'

const client = 'github.com/apache/rocketmq-client-go/v2@v2.1.2'

const go = (cwd: string, ...args: string[]) =>
  execFileSync('go', args, { cwd, encoding: 'utf8', timeout: 300_000, maxBuffer: 16 << 20 })

const copy = mkdtempSync(join(tmpdir(), 'record-go-'))
try {
  const { Dir } = JSON.parse(go(copy, 'mod', 'download', '-json', client)) as { Dir: string }
  cpSync(Dir, copy, { recursive: true })
  execFileSync('chmod', ['-R', 'u+w', copy]) // Go keeps its modules from being changed
  cpSync(join(import.meta.dirname, 'go/codec.go'), join(copy, 'internal/remote/recorder.go'))
  cpSync(join(import.meta.dirname, 'go/main.go'), join(copy, 'recorder/main.go'))
  const lines = go(copy, 'run', '-mod=mod', './recorder').trim().split('\n')

  const recorded = new Set(lines.map((line) => (JSON.parse(line) as GoVector).header))
  const source = readFileSync(join(copy, 'internal/request.go'), 'utf8')
  const headers = [...source.matchAll(/^func \(\w+ \*(\w+)\) Encode\(/gm)].map(([, header]) => header!)
  const missing = headers.filter((header) => !recorded.has(header))
  if (headers.length === 0 || missing.length > 0) throw new Error(`go/main.go leaves out: ${missing}`)
  writeFileSync(goVectorsPath, `[\n${lines.join(',\n')}\n]\n`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
