import * as net from 'node:net'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Pod, Service } from '../workloads/objects.ts'
import { endpointsOf, targetPortOf } from '../workloads/services.ts'

const connectTimeoutMs = 3_000

interface Door {
  server: net.Server
  service: Service
  port: number
  turn: number
}

/** Listens on the cluster IP of every Service and passes connections on to its pods in turn; kube-proxy, so to speak. */
export class ServiceProxy {
  readonly #doors = new Map<string, Door>()
  readonly #sockets = new Set<net.Socket>()
  readonly #pods: () => readonly Pod[]
  readonly #log: Log

  constructor(pods: () => readonly Pod[], log: Log) {
    this.#pods = pods
    this.#log = log
  }

  /** Opens and closes listeners so that they are those of these Services. */
  sync(services: readonly Service[]): void {
    const wanted = new Map<string, { service: Service; port: number }>()
    for (const service of services) {
      const { clusterIP, ports = [] } = service.spec
      if (!clusterIP || clusterIP === 'None') continue
      for (const { port } of ports) wanted.set(`${clusterIP}:${port}`, { service, port })
    }
    for (const [address, door] of this.#doors) {
      if (wanted.has(address)) continue
      door.server.close()
      this.#doors.delete(address)
    }
    for (const [address, { service, port }] of wanted) {
      const door = this.#doors.get(address)
      if (door !== undefined) door.service = service
      else this.#open(address, service, port)
    }
  }

  close(): void {
    for (const { server } of this.#doors.values()) server.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#doors.clear()
  }

  #open(address: string, service: Service, port: number): void {
    const door: Door = { server: net.createServer((socket) => this.#pass(socket, door)), service, port, turn: 0 }
    this.#doors.set(address, door)
    door.server.on('error', (error) => {
      const { name, namespace } = service.metadata
      const isForRoot = (error as NodeJS.ErrnoException).code === 'EACCES'
      const remedy = isForRoot ? 'a port from 1024 on: lower ones are for root here' : undefined
      this.#log.error({ namespace, name, address, err: messageOf(error), remedy }, 'Service has no listener')
      this.#doors.delete(address)
    })
    door.server.listen({ host: service.spec.clusterIP, port })
  }

  #pass(socket: net.Socket, door: Door): void {
    const serving = endpointsOf(door.service, this.#pods()).filter(({ isServing }) => isServing)
    const chosen = serving[door.turn++ % Math.max(1, serving.length)]
    const spec = door.service.spec.ports?.find(({ port }) => port === door.port)
    const port = chosen && spec && targetPortOf(spec, chosen.pod)
    if (chosen === undefined || port === undefined) return void socket.resetAndDestroy() // as a Service without endpoints refuses
    const pod = net.connect({ host: chosen.ip, port, noDelay: true, timeout: connectTimeoutMs })
    pod.once('connect', () => pod.setTimeout(0))
    pod.once('timeout', () => pod.destroy())
    socket.setNoDelay(true)
    for (const [one, other] of [[socket, pod] as const, [pod, socket] as const]) {
      this.#sockets.add(one)
      one.on('error', () => other.destroy()) // the other side learns it as a closed connection
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroySoon()
      })
      one.pipe(other)
    }
  }
}
