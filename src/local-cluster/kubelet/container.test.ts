import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { nodeClock } from '../../base/node/index.ts'
import { found } from '../../base/testing/eventually.ts'
import type { Container, ContainerStatus, Pod, Probe } from '../workloads/objects.ts'
import { ContainerRunner } from './container.ts'

let folder: string
let runner: ContainerRunner | undefined
let seen: ContainerStatus[] // each status that was told, in order

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'container-test-'))
  seen = []
})

afterEach(async () => {
  await runner?.stop(0)
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a program as a container; its probes ask a port of this machine. */
function start(program: string, fields: Partial<Container> = {}, restartPolicy: 'Always' | 'Never' = 'Always') {
  const container: Container = { name: 'c', image: 'test', ...fields }
  const made = new ContainerRunner({
    pod: { spec: { containers: [container], restartPolicy } } as Pod,
    container,
    ip: '127.0.0.1',
    logFolder: folder,
    before: undefined,
    command: () => ({ file: process.execPath, args: ['-e', program], env: {}, cwd: folder }),
    changed: () => seen.push(made.status),
    clock: nodeClock,
  })
  runner = made
  made.start()
  return made
}

let port = 0
beforeEach(async () => {
  const { createServer } = await import('node:net')
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  port = (server.address() as { port: number }).port
  await new Promise((resolve) => server.close(resolve))
})

function answering(code: number): string {
  return `require('node:http').createServer((_, response) => { response.statusCode = ${code}; response.end('so') }).listen(${port}, '127.0.0.1');`
}

/** Answers 500 first, then 200 after so many milliseconds. */
function turning(afterMs: number, first = 500, later = 200): string {
  return `let code = ${first}; setTimeout(() => { code = ${later} }, ${afterMs});
    require('node:http').createServer((_, response) => { response.statusCode = code; response.end('so') }).listen(${port}, '127.0.0.1');`
}

function probe(more: Partial<Probe> = {}): Probe {
  return { httpGet: { port, path: '/' }, periodSeconds: 0.2, timeoutSeconds: 1, failureThreshold: 2, ...more }
}

test('a container is ready when its readiness probe says so, not before, and not when it stops to', async () => {
  const container = start(`${turning(600)} setTimeout(() => { code = 503 }, 2_000)`, { readinessProbe: probe() })
  expect(container.status).toMatchObject({ ready: false, started: true })
  await found(() => container.status.ready)
  expect(seen[0]).toMatchObject({ ready: false })
  await found(() => !container.status.ready)
  expect(container.status).toMatchObject({ restartCount: 0, state: { running: {} } }) // unready is no reason to end it
}, 20_000)

test('a liveness probe that fails often enough in a row ends the container, which starts again', async () => {
  const container = start(answering(500), { livenessProbe: probe({ failureThreshold: 3 }) })
  await found(() => container.status.lastState.terminated)
  expect(container.status.lastState.terminated).toMatchObject({
    exitCode: 137,
    reason: 'Error',
    message: 'liveness probe failed: HTTP 500: so',
  })
  expect(container.status.state.waiting).toMatchObject({ reason: 'CrashLoopBackOff' })
  await found(() => container.status.restartCount === 1 && container.status.state.running)
}, 20_000)

test('single failures of a liveness probe are borne', async () => {
  const flaky = `let count = 0; require('node:http').createServer((_, response) => {
    response.statusCode = ++count % 2 === 0 ? 200 : 500; console.log('asked'); response.end() }).listen(${port}, '127.0.0.1')`
  const container = start(flaky, { livenessProbe: probe({ failureThreshold: 3 }) })
  await found(() => readFileSync(container.logPath, 'utf8').split('asked').length > 8)
  expect(container.status).toMatchObject({ restartCount: 0, state: { running: {} } })
}, 20_000)

test('until the startup probe is content no other one asks, and one that never is ends the container', async () => {
  const liveness = probe({ failureThreshold: 1, periodSeconds: 0.1 })
  const fields = { livenessProbe: liveness, readinessProbe: probe(), startupProbe: probe({ failureThreshold: 50 }) }
  const slow = start(turning(1_500), fields)
  await found(() => slow.status.ready)
  expect(slow.status).toMatchObject({ restartCount: 0, lastState: {} })
  await slow.stop(0)

  const never = start(answering(500), { startupProbe: probe({ failureThreshold: 2 }) })
  await found(() => never.status.lastState.terminated)
  expect(never.status.lastState.terminated?.message).toBe('startup probe failed: HTTP 500: so')
  expect(never.status.ready).toBe(false)
}, 20_000)

test('what ends starts again, each time later, and the log of before stays', async () => {
  const container = start("console.log('ran'); process.exit(3)")
  const waitsOf = () => seen.flatMap(({ state }) => (state.waiting?.message ? [state.waiting.message] : []))
  await found(() => waitsOf().length >= 2 && container.status.restartCount >= 1)
  expect(waitsOf().slice(0, 2)).toEqual([
    'back-off 1s restarting failed container=c',
    'back-off 2s restarting failed container=c',
  ])
  expect(container.status.lastState.terminated).toMatchObject({ exitCode: 3, reason: 'Error' })
  expect(readFileSync(container.logPath, 'utf8')).toBe('ran\nran\n')
}, 20_000)

test('what shall run once stays ended', async () => {
  const container = start('process.exit(0)', {}, 'Never')
  await found(() => container.status.state.terminated)
  expect(container.status).toMatchObject({
    restartCount: 0,
    state: { terminated: { exitCode: 0, reason: 'Completed' } },
  })
}, 20_000)

test('a container is asked to end, and has its grace for it', async () => {
  const container = start(`
    process.on('SIGTERM', () => setTimeout(() => { console.log('tidied'); process.exit(0) }, 300))
    setInterval(() => {}, 1000); console.log('up')`)
  await found(() => readFileSync(container.logPath, 'utf8') === 'up\n')
  await container.stop(10_000)
  expect(container.status.state.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' })
  expect(readFileSync(container.logPath, 'utf8')).toBe('up\ntidied\n')
}, 20_000)

test('one that does not end is killed when its grace is over, and not before', async () => {
  const container = start(
    "process.on('SIGTERM', () => console.log('told')); setInterval(() => {}, 1000); console.log('up')",
  )
  await found(() => readFileSync(container.logPath, 'utf8') === 'up\n')
  const began = nodeClock.monotonicMs()
  await container.stop(700)
  expect(nodeClock.monotonicMs() - began).toBeGreaterThanOrEqual(690)
  expect(container.status.state.terminated).toMatchObject({ exitCode: 137 })
  expect(readFileSync(container.logPath, 'utf8')).toBe('up\ntold\n')
}, 20_000)
