import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const readyTimeoutMs = 90_000
const stopTimeoutMs = 20_000
/** Cluster IPs are addresses of this machine: brokers listen on them without a proxy. */
const serviceRange = '127.99.0.0/16'
export const operatorUser = 'rocketmq-operator'

/** One entry of the audit log: a request of the operator that was answered. */
export interface AuditEntry {
  verb: string
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string }
  responseStatus?: { code?: number }
}

/**
 * etcd, kube-apiserver and the StatefulSet controller of the kit's Kubernetes on loopback, on ports and in a folder of their
 * own: beside any other cluster of this machine. No scheduler, no kubelet: see pods.ts.
 */
export class ControlPlane {
  readonly #dir: string
  readonly #binary: string
  readonly #children = new Map<string, ChildProcess>()
  #server = ''
  readonly #written = new Set<string>()

  /** @param dir emptied by whoever made it */
  constructor(dir: string) {
    this.#dir = dir
    const cache = process.env.KUBE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'host-kube')
    this.#binary = join(cache, 'bin/kube')
  }

  async start(): Promise<void> {
    if (!existsSync(this.#binary)) throw new Error(`${this.#binary} is missing: run ../shared/kube/kube-binaries`)
    mkdirSync(join(this.#dir, 'etcd'), { recursive: true, mode: 0o700 })
    const [client, peer, api] = await freePorts(3)
    const etcd = `http://127.0.0.1:${client}`
    const peers = `http://127.0.0.1:${peer}`
    this.#spawn('etcd', [
      '--name=bench',
      `--data-dir=${join(this.#dir, 'etcd')}`,
      '--unsafe-no-fsync',
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${peers}`,
      `--initial-advertise-peer-urls=${peers}`,
      `--initial-cluster=bench=${peers}`,
      '--log-level=warn',
    ])
    await this.#makeFiles()
    this.#server = `https://127.0.0.1:${api}`
    const file = (name: string) => join(this.#dir, name)
    this.#spawn('kube-apiserver', [
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${api}`,
      `--service-cluster-ip-range=${serviceRange}`,
      `--cert-dir=${file('certs')}`,
      `--token-auth-file=${file('tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
      '--endpoint-reconciler-type=none', // the kubernetes Service would need an address that is not loopback
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${file('sa.pub')}`,
      `--service-account-signing-key-file=${file('sa.key')}`,
      `--audit-policy-file=${file('audit.yaml')}`,
      `--audit-log-path=${file('audit.log')}`,
    ])
    await this.#until('the API server', () => this.kubectl('get', '--raw=/readyz'))
    this.#spawn('kube-controller-manager', [
      `--kubeconfig=${this.kubeconfig('admin')}`,
      `--service-account-private-key-file=${file('sa.key')}`,
      '--controllers=statefulset-controller',
      '--secure-port=0',
      '--leader-elect=false',
    ])
  }

  /** Path of a kubeconfig for `admin` or the operator's user. */
  kubeconfig(user: string): string {
    const path = join(this.#dir, `${user}.kubeconfig`)
    if (this.#written.has(path)) return path // others are reading it
    this.#written.add(path)
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'bench', cluster: { server: this.#server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: user, user: { token: `token-of-${user}` } }],
      contexts: [{ name: 'bench', context: { cluster: 'bench', user } }],
      'current-context': 'bench',
    }
    writeFileSync(path, JSON.stringify(config))
    return path
  }

  async kubectl(...args: string[]): Promise<string> {
    const { stdout } = await run(this.#binary, ['kubectl', '--kubeconfig', this.kubeconfig('admin'), ...args])
    return stdout
  }

  pidOf(name: 'etcd' | 'kube-apiserver'): number {
    return this.#children.get(name)!.pid!
  }

  /** Where the audit log ends now. */
  auditEnd(): number {
    return statSync(join(this.#dir, 'audit.log'), { throwIfNoEntry: false })?.size ?? 0
  }

  /** The operator's requests that were answered since then. */
  auditSince(start: number): AuditEntry[] {
    const text = readFileSync(join(this.#dir, 'audit.log')).subarray(start).toString('utf8')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditEntry)
  }

  async stop(): Promise<void> {
    for (const name of [...this.#children.keys()].reverse()) {
      const child = this.#children.get(name)!
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      const isGone = await Promise.race([once(child, 'exit').then(() => true), sleep(stopTimeoutMs, false)])
      if (!isGone) child.kill('SIGKILL')
    }
  }

  async #makeFiles(): Promise<void> {
    const file = (name: string) => join(this.#dir, name)
    writeFileSync(
      file('tokens.csv'),
      `token-of-admin,admin,1,"system:masters"\ntoken-of-${operatorUser},${operatorUser},2\n`,
    )
    const policy = {
      apiVersion: 'audit.k8s.io/v1',
      kind: 'Policy',
      omitStages: ['RequestReceived', 'ResponseStarted'],
      rules: [{ level: 'Metadata', users: [operatorUser] }, { level: 'None' }],
    }
    writeFileSync(file('audit.yaml'), JSON.stringify(policy))
    await run('openssl', ['genrsa', '-out', file('sa.key'), '2048'])
    await run('openssl', ['rsa', '-in', file('sa.key'), '-pubout', '-out', file('sa.pub')])
  }

  #spawn(name: string, args: string[]): void {
    const output = openSync(join(this.#dir, `${name}.log`), 'a')
    const child = spawn(this.#binary, [name, ...args], { stdio: ['ignore', output, output] })
    closeSync(output)
    this.#children.set(name, child)
    process.once('exit', () => child.kill('SIGKILL'))
  }

  async #until(what: string, check: () => Promise<unknown>): Promise<void> {
    for (const untilMs = Date.now() + readyTimeoutMs; ; await sleep(500)) {
      try {
        await check()
        return
      } catch (error) {
        if (Date.now() > untilMs)
          throw new Error(`gave up waiting for ${what}; logs are in ${this.#dir}`, { cause: error })
      }
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
