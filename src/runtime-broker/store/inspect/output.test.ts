import { Writable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { Output } from './output.ts'

/** A reader that takes what it is told to. */
class Reader extends Writable {
  text = ''
  #pending: { chunk: Buffer; done: (error?: Error | null) => void } | undefined

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#pending = { chunk, done }
  }

  /** Reads what was written, or fails with a system code. */
  take(code?: string): void {
    const pending = this.#pending
    this.#pending = undefined
    if (code === undefined) this.text += pending!.chunk.toString()
    pending!.done(code === undefined ? null : Object.assign(new Error(code), { code }))
  }
}

/** Whether a promise is settled after all that is due was done. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = () => void (settled = true)
  promise.then(settle, settle)
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

const long = 'x'.repeat(100_000)

test('lines wait for a reader that is slow, and the end waits for the last one', async () => {
  const reader = new Reader()
  const output = new Output(reader)
  for (const text of ['a', 'b', long]) expect(output.line(text)).toBe(true)

  const room = output.room()
  expect(await isSettled(room)).toBe(false)
  reader.take()
  await room
  output.line('c')
  const flushed = output.flush()
  expect(await isSettled(flushed)).toBe(false)
  reader.take()
  await isSettled(flushed)
  reader.take()
  await flushed

  expect(reader.text).toBe(`a\nb\n${long}\nc\n`)
})

test('a reader that has enough ends it quietly', async () => {
  const reader = new Reader()
  const output = new Output(reader)
  output.line(long)
  const room = output.room()

  reader.take('EPIPE')
  await room

  expect(output.line('more')).toBe(false)
  await output.flush()
  expect(reader.text).toBe('')
})

test('what cannot be written is an error', async () => {
  const reader = new Reader()
  const output = new Output(reader)
  output.line(long)
  const room = output.room()

  reader.take('ENOSPC')

  await expect(room).rejects.toMatchObject({ code: 'FILE_FAILED', facts: { operation: 'write', code: 'ENOSPC' } })
  await expect(output.flush()).rejects.toMatchObject({ code: 'FILE_FAILED' })
})
