import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { LogFile, readLog, tail } from './logs.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test.each([
  ['a\nb\nc\n', 1, 'c\n'],
  ['a\nb\nc', 2, 'b\nc'],
  ['a\nb\n', 9, 'a\nb\n'],
  ['a\nb\n', 0, ''],
  ['', 3, ''],
  ['\n\n', 1, '\n'],
])('of %j the last %i lines are %j', (text, lines, last) => {
  expect(tail(Buffer.from(text), lines).toString()).toBe(last)
})

test('a follower gets the tail, then what is written, until the log is closed', async () => {
  const log = new LogFile(join(folder, 'c.log'))
  log.write(Buffer.from('one\ntwo\n'))
  const got: string[] = []
  const reading = (async () => {
    for await (const chunk of log.read({ tailLines: 1, follow: true }, new AbortController().signal))
      got.push(chunk.toString())
  })()
  await Promise.resolve()
  log.write(Buffer.from('three\n'))
  log.close()
  await reading

  expect(got.join('')).toBe('two\nthree\n')
})

test('a log that grows too large keeps its last part and the one before', () => {
  const path = join(folder, 'c.log')
  const log = new LogFile(path)
  const megabyte = Buffer.alloc(1024 * 1024, 'x')
  for (let count = 0; count < 30; count++) log.write(megabyte)
  log.write(Buffer.from('last'))
  log.close()

  expect(statSync(path).size).toBeLessThanOrEqual(8 * 1024 * 1024)
  expect(readLog(path).length).toBeGreaterThan(8 * 1024 * 1024)
  expect(readLog(path).length).toBeLessThanOrEqual(16 * 1024 * 1024)
  expect(tail(readLog(path), 1).subarray(-4).toString()).toBe('last')
})
