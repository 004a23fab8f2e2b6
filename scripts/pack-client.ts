/**
 * Packs the client as a package that Node runs where it is installed: Node strips no types below node_modules.
 *   npm run pack:client -- [--into DIR]     DIR (.work/package) then holds rocketmq-operator-VERSION.tgz, whose path is printed
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readFlags } from './flags.ts'

const projectDir = resolve(import.meta.dirname, '..')
const buildTimeoutMs = 120_000
const flags = readFlags(import.meta.filename, { into: { type: 'string', default: join(projectDir, '.work/package') } })

const into = resolve(flags.into)
const stage = join(into, 'stage')
rmSync(stage, { recursive: true, force: true })
mkdirSync(stage, { recursive: true })

const settings = {
  extends: join(projectDir, 'tsconfig.json'),
  compilerOptions: {
    noEmit: false,
    declaration: true,
    rootDir: join(projectDir, 'src'),
    outDir: join(stage, 'lib'),
    typeRoots: [join(projectDir, 'node_modules/@types')],
    allowImportingTsExtensions: false,
    rewriteRelativeImportExtensions: true,
  },
  include: [],
  files: [join(projectDir, 'src/client/index.ts')],
}
const settingsFile = join(into, 'tsconfig.json')
writeFileSync(settingsFile, JSON.stringify(settings))
run(join(projectDir, 'node_modules/.bin/tsc'), ['-p', settingsFile])

const { name, version, license } = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8'))
const manifest = {
  name,
  version,
  description:
    'A client for Apache RocketMQ 4.9 and 5.x in TypeScript: producers, consumers, administration. It depends on nothing.',
  license,
  type: 'module',
  engines: { node: '>=22.15' }, // its zlib reads Zstandard
  exports: { '.': { types: './lib/client/index.d.ts', default: './lib/client/index.js' } },
}
writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
copyFileSync(join(projectDir, 'LICENSE'), join(stage, 'LICENSE'))
copyFileSync(join(projectDir, 'docs/client.md'), join(stage, 'README.md'))
const packed = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', into], stage))
const { filename } = (Array.isArray(packed) ? packed[0] : Object.values(packed)[0]) as { filename: string }
console.log(join(into, filename))

function run(command: string, args: string[], cwd = projectDir): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: buildTimeoutMs,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
