import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { silentLog } from '../base/log.ts'
import { nodeNetwork } from '../base/node/index.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { formatAddress } from './address.ts'
import { RemotingClient } from './client.ts'
import { RequestCode, ResponseCode } from './codes.ts'
import { type Server, startServer } from './server.ts'

let clock: ManualClock
let server: Server
let client: RemotingClient
let lost: string[]

beforeEach(async () => {
  clock = new ManualClock()
  const mine: string[] = [] // a connection of the test before may close late
  lost = mine
  const doors = { clock, network: nodeNetwork, log: silentLog }
  server = await startServer(
    {
      listen: { host: '127.0.0.1', port: 0 },
      handle: ({ code }) => (code === RequestCode.HEART_BEAT ? { code: ResponseCode.SUCCESS } : undefined), // else silence
    },
    doors,
  )
  client = new RemotingClient({ onClose: (address) => mine.push(address) }, doors)
})

afterEach(async () => {
  await client.close()
  await server.close(0)
})

/** Ends the turn until check holds, for as long as sockets may take. */
async function until(check: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !check(); turn++) await clock.turn()
  expect(check()).toBe(true)
}

async function callInSilence(timeoutMs: number): Promise<{ ended: () => boolean }> {
  const address = formatAddress(server.address)
  let failure: unknown
  const call = client.call(address, { code: RequestCode.PULL_MESSAGE }, timeoutMs)
  call.catch((error: unknown) => {
    failure = error
  })
  await until(() => [...server.connections].length === 1)
  return { ended: () => failure !== undefined }
}

test('a connection on which nothing came during a whole call is closed', async () => {
  const { ended } = await callInSilence(2_000)
  await clock.advance(2_000)
  await until(ended)
  await until(() => lost.length === 1)
})

test('a connection on which something else came is kept', async () => {
  const { ended } = await callInSilence(2_000)
  await clock.advance(1_000)
  let isAnswered = false
  void client.call(formatAddress(server.address), { code: RequestCode.HEART_BEAT }, 5_000).then(() => {
    isAnswered = true
  })
  await until(() => isAnswered)
  await clock.advance(1_000)
  await until(ended)
  for (let turn = 0; turn < 20; turn++) await clock.turn()
  expect(lost).toEqual([])
})

test('a call shorter than a second cuts nothing', async () => {
  const { ended } = await callInSilence(500)
  await clock.advance(500)
  await until(ended)
  for (let turn = 0; turn < 20; turn++) await clock.turn()
  expect(lost).toEqual([])
})

test.each([
  ['at once may serve TLS only', 0, /hint=.*TLS only/],
  ['later has ended', 1_000, /CONNECTION_CLOSED(?!.*hint)/],
])('a server that closes without a word %s', async (_, afterMs, wanted) => {
  const address = formatAddress(server.address)
  const call = client.call(address, { code: RequestCode.PULL_MESSAGE }, 60_000).catch(String)
  await until(() => [...server.connections].length === 1)
  await clock.advance(afterMs)
  for (const connection of server.connections) connection.close()
  let end: string | undefined
  void call.then((text) => {
    end = String(text)
  })
  await until(() => end !== undefined)
  expect(end).toMatch(wanted)
})
