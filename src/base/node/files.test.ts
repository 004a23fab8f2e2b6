import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { makeDirectory, nodeFiles } from './files.ts'

let home: string
beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), 'files-'))
})
afterEach(() => fs.rmSync(home, { recursive: true }))

test('a directory is made with its parents, and is no error where it is', () => {
  nodeFiles.makeDirectory(`${home}/a/b/c`)
  nodeFiles.makeDirectory(`${home}/a/b/c`)

  expect(fs.statSync(`${home}/a/b/c`).isDirectory()).toBe(true)
})

test('a directory and the parents made with it have the mode that was asked for', () => {
  makeDirectory(`${home}/private/below`, 0o700)

  expect(['private', 'private/below'].map((path) => fs.statSync(`${home}/${path}`).mode & 0o777)).toEqual([
    0o700, 0o700,
  ])
})

test('no directory is made through a file', () => {
  fs.writeFileSync(`${home}/file`, '')

  expect(() => nodeFiles.makeDirectory(`${home}/file/a/b`)).toThrow(
    expect.objectContaining({ code: 'FILE_FAILED', facts: expect.objectContaining({ code: 'ENOTDIR' }) }),
  )
  expect(() => nodeFiles.makeDirectory(`${home}/file`)).toThrow(
    expect.objectContaining({ code: 'FILE_FAILED', facts: expect.objectContaining({ code: 'EEXIST' }) }),
  )
})

test('how full a volume is, df says too', () => {
  const columns = spawnSync('df', ['-kP', home], { encoding: 'utf8' }).stdout.trim().split('\n').at(-1)!.split(/\s+/)
  const [used, available] = columns.slice(2, 4).map(Number) as [number, number]

  const { totalBytes, freeBytes } = nodeFiles.diskSpace(home)

  // of what only the superuser may use, df counts nothing; others write meanwhile
  expect((totalBytes - freeBytes) / totalBytes).toBeCloseTo(used / (used + available), 2)
})

// In a process of its own: what it guards against never comes back. /proc/self stands for a volume whose folder is gone.
test('a directory that takes no new ones is an error at once', () => {
  const script = `
    const { nodeFiles } = await import(${JSON.stringify(join(import.meta.dirname, 'files.ts'))})
    try { nodeFiles.makeDirectory('/proc/self/none/of/these') } catch ({ code, facts }) { console.log(code, facts.code) }`
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000, encoding: 'utf8' })

  expect(ran.stdout.trim()).toBe('FILE_FAILED ENOENT')
})

test('a file opened for reading needs no right to write, and takes none', () => {
  const path = `${home}/kept`
  fs.writeFileSync(path, 'as it was')
  fs.chmodSync(path, 0o400)

  const file = nodeFiles.open(path, 'reading')

  expect(() => file.write(Buffer.from('changed'), 0)).toThrow(expect.objectContaining({ code: 'FILE_FAILED' }))
  expect(() => file.truncate(0)).toThrow(expect.objectContaining({ code: 'FILE_FAILED' }))
  expect(fs.readFileSync(path, 'utf8')).toBe('as it was')
  expect(() => nodeFiles.open(`${home}/none`, 'reading')).toThrow(expect.objectContaining({ code: 'FILE_FAILED' }))
  file.close()
})

test('a text that the disk has no room for leaves the one before', () => {
  const path = `${home}/table.json`
  const limited = `trap '' XFSZ; ulimit -f 16; exec "$0" --no-warnings --input-type=module -e "$1"`
  const script = `
    const { nodeFiles } = await import(${JSON.stringify(new URL('./files.ts', import.meta.url).href)})
    nodeFiles.writeText(${JSON.stringify(path)}, 'old')
    try {
      nodeFiles.writeText(${JSON.stringify(path)}, 'y'.repeat(100_000))
    } catch (error) {
      process.stdout.write(error.facts.code)
    }`

  const { stdout, stderr } = spawnSync('sh', ['-c', limited, process.execPath, script], { encoding: 'utf8' })

  expect(stderr).toBe('')
  expect(stdout).toBe('EFBIG') // as ENOSPC of a full disk: a part is written first
  expect(fs.readdirSync(home)).toEqual(['table.json'])
  expect(nodeFiles.readText(path)).toBe('old')
})
