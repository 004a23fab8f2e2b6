import { afterEach, expect, test } from '@jest/globals'
import type { HttpServer, HttpServerReply, HttpServerRequest } from '../http.ts'
import { eventually } from '../testing/eventually.ts'
import { nodeClock } from './clock.ts'
import { createHttpClient, listenHttp } from './http.ts'

const client = createHttpClient()
const servers: HttpServer[] = []
afterEach(async () => {
  client.close()
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

const timeoutMs = 200

/** Asks a server that answers as told. @returns the answer, and whether the connection is gone at the server's side */
async function ask(handle: (reply: HttpServerReply, request: HttpServerRequest) => void | Promise<void>) {
  const seen = { isGone: false }
  const server = await listenHttp({ host: '127.0.0.1', port: 0, bodyBytesMax: 1000 }, async (request, reply) => {
    request.signal.addEventListener('abort', () => {
      seen.isGone = true
    })
    await handle(reply, request)
  })
  servers.push(server)
  const url = `http://127.0.0.1:${server.address.port}/`
  return { seen, answer: client.request({ method: 'GET', url, timeoutMs }) }
}

async function read(body: AsyncIterable<Buffer>, into: string[]): Promise<void> {
  for await (const chunk of body) into.push(chunk.toString())
}

test('a body that falls silent is an error after the time given, which says so, and the connection is closed', async () => {
  const { seen, answer } = await ask((reply) => {
    reply.start(200, {})
    reply.write('first')
  })
  const { body } = await answer
  const came: string[] = []
  const startedMs = nodeClock.monotonicMs()

  await expect(read(body, came)).rejects.toMatchObject({
    code: 'HTTP_FAILED',
    message: expect.stringContaining(`nothing came for ${timeoutMs} ms`),
  })

  expect(came).toEqual(['first'])
  expect(nodeClock.monotonicMs() - startedMs).toBeLessThan(timeoutMs * 10)
  await eventually(() => expect(seen.isGone).toBe(true))
})

test('a body that goes on slowly is read to its end, however long it takes in all', async () => {
  const { answer } = await ask(async (reply) => {
    reply.start(200, {})
    for (let at = 0; at < 8; at++) {
      reply.write(`${at}`)
      await nodeClock.sleep(timeoutMs / 4)
    }
    reply.end()
  })
  const came: string[] = []

  await read((await answer).body, came)

  expect(came.join('')).toBe('01234567')
})

test('a server that answers nothing at all is an error after the time given', async () => {
  const { seen, answer } = await ask(() => new Promise(() => {}))

  await expect(answer).rejects.toMatchObject({
    code: 'HTTP_FAILED',
    message: expect.stringContaining(`nothing came for ${timeoutMs} ms`),
  })
  await eventually(() => expect(seen.isGone).toBe(true))
})
