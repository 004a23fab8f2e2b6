import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { expect, test } from '@jest/globals'

const root = resolve(import.meta.dirname, '../..')
const src = join(root, 'src')

/** What each room may import besides itself. The longest matching path decides; docs/architecture.md draws the same table. */
const mayImport: Record<string, readonly string[]> = {
  'main.ts': ['*'],
  base: [],
  remoting: ['base'],
  tunables: ['base'],
  'runtime-broker': ['base', 'remoting', 'tunables'],
  'runtime-broker/namesrv': ['base', 'remoting', 'tunables', 'runtime-broker'],
  'runtime-broker/store': ['base', 'remoting', 'tunables'],
  'runtime-broker/ha': ['base', 'remoting', 'runtime-broker/store'],
  'runtime-broker/broker': [
    'base',
    'remoting',
    'tunables',
    'runtime-broker',
    'runtime-broker/store',
    'runtime-broker/ha',
  ],
  client: ['base', 'remoting'],
  crds: ['base', 'tunables'],
  kube: ['base'],
  controllers: ['base', 'crds', 'kube', 'client'],
  'local-cluster': ['base'],
  demo: ['base', 'client', 'crds', 'kube'],
  selftest: ['base', 'client'],
}

/** Node's own modules that reach the outside world: only through a door of src/base. */
const outside = /^node:(fs|net|http|https|http2|tls|dns|dgram|child_process|cluster|worker_threads|timers|sqlite)(\/|$)/
const mayReachOutside = ['base/node', 'local-cluster/kubelet']
const worldCalls = /\b(Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate)\s*\(|\bnew Date\(\)/

/** Packages of package.json, and who may load them. Everything not named here is nobody's. */
const packages: Record<string, readonly string[]> = {
  zod: ['crds', 'controllers'],
  yaml: ['crds', 'kube', 'local-cluster', 'demo'],
  'prom-client': ['base', 'runtime-broker', 'controllers', 'kube'],
  '@kubernetes/client-node': ['kube'],
  '@marcbachmann/cel-js': ['local-cluster/api-server'],
}

interface SourceFile {
  path: string // relative to src
  room: string
  text: string
  imports: string[]
}

const files: SourceFile[] = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(src, path), 'utf8')
    const imports = [
      ...text.matchAll(
        /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|(?:^|\n)import '([^']+)'|\brequire\('([^']+)'\)/g,
      ),
    ].map((match) => (match[1] ?? match[2] ?? match[3] ?? match[4]) as string)
    return { path: path.split(sep).join('/'), room: roomOf(path.split(sep).join('/')), text, imports }
  })
const production = files.filter(({ path }) => !path.endsWith('.test.ts') && !path.includes('/testing/'))

function roomOf(path: string): string {
  const rooms = Object.keys(mayImport).filter((room) => path === room || path.startsWith(`${room}/`))
  return rooms.sort((a, b) => b.length - a.length)[0] ?? `(no room: ${path})`
}

function within(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(`${folder}/`))
}

test('every file lies in a room of the table', () => {
  expect(files.map(({ room }) => room).filter((room) => room.startsWith('(no room'))).toEqual([])
  expect(files.length).toBeGreaterThan(20)
})

test('rooms import only what the table allows', () => {
  const broken = production.flatMap((file) =>
    file.imports
      .filter((name) => name.startsWith('.'))
      .map((name) =>
        relative(src, resolve(src, dirname(file.path), name))
          .split(sep)
          .join('/'),
      )
      .filter((target) => {
        const room = roomOf(target)
        const allowed = mayImport[file.room] ?? []
        return room !== file.room && !allowed.includes('*') && !allowed.includes(room)
      })
      .map((target) => `${file.path} imports ${target}`),
  )
  expect(broken).toEqual([])
})

test('only the doors reach the outside world', () => {
  const broken = production
    .filter(({ path }) => !within(path, mayReachOutside))
    .flatMap(({ path, text, imports }) => [
      ...imports.filter((name) => outside.test(name)).map((name) => `${path} imports ${name}`),
      ...text
        .split('\n')
        .filter((line) => worldCalls.test(line.replace(/\/\/.*|^\s*\*.*/, '')))
        .map((line) => `${path}: ${line.trim()}`),
    ])
  expect(broken).toEqual([])
})

test('packages are loaded only where the table says', () => {
  const broken = production.flatMap(({ path, imports }) =>
    imports
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
      .map((name) =>
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      )
      .filter((name) => !within(path, packages[name] ?? []))
      .map((name) => `${path} loads ${name}`),
  )
  expect(broken).toEqual([])
})

test('no file is a drawer', () => {
  const drawers = /(^|\/)(utils?|helpers?|misc|common)(\.ts|\/)/
  expect(files.map(({ path }) => path).filter((path) => drawers.test(path))).toEqual([])
})
