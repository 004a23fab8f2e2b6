import * as http from 'node:http'
import * as net from 'node:net'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Container, Probe } from '../workloads/objects.ts'

/** Asks once. @returns what is wrong, undefined when all is well */
export async function probeOnce(probe: Probe, container: Container, host: string): Promise<string | undefined> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000
  const { httpGet, tcpSocket } = probe
  const port = portOf(httpGet?.port ?? tcpSocket?.port, container)
  if (port === undefined) return `no port ${httpGet?.port ?? tcpSocket?.port}`
  return httpGet !== undefined
    ? getOnce({ host, port, path: httpGet.path ?? '/' }, timeoutMs)
    : connectOnce(host, port, timeoutMs)
}

function portOf(port: number | string | undefined, { ports = [] }: Container): number | undefined {
  return typeof port === 'number' ? port : ports.find(({ name }) => name === port)?.containerPort
}

function getOnce(
  options: { host: string; port: number; path: string },
  timeoutMs: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = http.get({ ...options, agent: false, timeout: timeoutMs }, (response) => {
      const { statusCode = 0 } = response
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.length < 4 && parts.push(part))
      response.on('end', () => {
        const said = Buffer.concat(parts).toString('utf8').trim().slice(0, 200)
        resolve(statusCode >= 200 && statusCode < 400 ? undefined : `HTTP ${statusCode}: ${said}`)
      })
      response.on('error', (error) => resolve(error.message))
    })
    request.on('timeout', () => request.destroy(new Error(`no answer in ${timeoutMs} ms`)))
    request.on('error', (error) => resolve(error.message))
  })
}

function connectOnce(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: timeoutMs })
    const finish = (problem?: string) => {
      socket.destroy()
      resolve(problem)
    }
    socket.on('connect', () => finish())
    socket.on('timeout', () => finish(`no connection in ${timeoutMs} ms`))
    socket.on('error', (error) => finish(error.message))
  })
}

/**
 * Probes until stopped, and tells each time the verdict changes: after successThreshold good or failureThreshold bad
 * answers in a row. An eager probe asks every fastPeriodMs while all is not well, so that what is ready counts at once; a
 * probe whose failures kill must not be eager: they would be counted before the program had the time its author gave it.
 */
export function startProbe(
  probe: Probe,
  ask: () => Promise<string | undefined>,
  verdict: (isGood: boolean, problem: string | undefined) => void,
  { clock, isEager }: { clock: Clock; isEager: boolean },
): { stop(): void } {
  const periodMs = (probe.periodSeconds ?? 10) * 1000
  let last: boolean | undefined
  let inRow = 0
  let lastAnswer: boolean | undefined
  let isStopped = false
  let timer: Timer
  const round = async () => {
    const problem = await ask()
    if (isStopped) return
    const isGood = problem === undefined
    inRow = isGood === lastAnswer ? inRow + 1 : 1
    lastAnswer = isGood
    const needed = isGood ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3)
    if (inRow >= needed && last !== isGood) {
      last = isGood
      verdict(isGood, problem)
    }
    timer = clock.after(isEager && last !== true ? Math.min(periodMs, fastPeriodMs) : periodMs, round)
  }
  timer = clock.after((probe.initialDelaySeconds ?? 0) * 1000 + (isEager ? fastPeriodMs : periodMs), round)
  return {
    stop() {
      isStopped = true
      timer.cancel()
    },
  }
}

const fastPeriodMs = 250
