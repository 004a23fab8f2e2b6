import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'

const projectDir = resolve(import.meta.dirname, '../..')
const stepTimeoutMs = 60_000
let dir: string

function run(command: string, args: string[], cwd = dir): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: stepTimeoutMs,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'packed-client-'))
  const tarball = run(process.execPath, ['scripts/pack-client.ts', '--into', dir], projectDir).trim()
  writeFileSync(join(dir, 'package.json'), '{"name":"shop","private":true,"type":"module"}')
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball])
}, 3 * stepTimeoutMs)

afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('a program imports the packed client, which names what it cannot reach', () => {
  writeFileSync(
    join(dir, 'shop.js'),
    `import { Producer } from 'rocketmq-operator'
const producer = new Producer({ namesrvAddr: '127.0.0.1:1', producerGroup: 'shop', sendTimeoutMs: 500 })
await producer.send({ topic: 'orders', body: 'paid' }).catch(({ code }) => console.log(code))
await producer.close()
`,
  )
  expect(run(process.execPath, ['shop.js'])).toMatch(/^[A-Z_]+\n$/)
})

test(
  'its types are those of the sources',
  () => {
    mkdirSync(join(dir, 'node_modules/@types'), { recursive: true })
    for (const name of ['@types/node', 'undici-types'])
      symlinkSync(join(projectDir, 'node_modules', name), join(dir, 'node_modules', name))
    const check = (value: string) => {
      writeFileSync(
        join(dir, 'typed.ts'),
        `import { Producer, type SendResult } from 'rocketmq-operator'
const producer = new Producer({ namesrvAddr: 'mq:9876', producerGroup: 'shop' })
export const result: Promise<SendResult> = producer.send({ topic: 'orders', body: ${value} })
`,
      )
      const options = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node', '--ignoreConfig', 'typed.ts']
      return () => run(join(projectDir, 'node_modules/.bin/tsc'), options)
    }
    expect(check("'paid'")).not.toThrow()
    expect(check('7')).toThrow()
  },
  2 * stepTimeoutMs,
)
