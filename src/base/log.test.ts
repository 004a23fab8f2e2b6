import { expect, test } from '@jest/globals'
import { OperatingError } from './errors.ts'
import { lineOf } from './log.ts'

const time = '2026-01-02T03:04:05.006Z'

test('a line is one JSON object: level, time, the facts, the message', () => {
  expect(lineOf('warn', time, { brokerId: 0, gone: undefined }, 'broker\nlost')).toBe(
    `{"level":"warn","time":"${time}","brokerId":0,"msg":"broker\\nlost"}\n`,
  )
})

test('an error is written with its words, its stack and its cause', () => {
  const err = new OperatingError('FILE_FAILED', { path: '/x' }, new Error('EIO'))

  const written = JSON.parse(lineOf('error', time, { err }, 'a flush failed'))

  expect(written.err).toMatchObject({ type: 'OperatingError', message: err.message, cause: { message: 'EIO' } })
  expect(written.err.stack).toContain('log.test.ts')
})

test('what has no JSON still makes a line', () => {
  const loop: Record<string, unknown> = {}
  loop.loop = loop

  expect(JSON.parse(lineOf('info', time, { offset: 2n ** 60n }, 'large'))).toMatchObject({ offset: String(2n ** 60n) })
  expect(JSON.parse(lineOf('info', time, { loop }, 'round'))).toMatchObject({
    msg: 'round',
    unwritable: expect.stringContaining('circular'),
  })
})
