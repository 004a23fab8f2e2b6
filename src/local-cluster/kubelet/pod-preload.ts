// Loaded into every pod process ahead of its program (NODE_OPTIONS=--import). It gives the process what a pod has on real
// Kubernetes and a plain process has not: an address of its own, cluster DNS, and an end when its node ends. The program
// knows nothing of it.
import dns from 'node:dns'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

const require = createRequire(import.meta.url)
const podIp = process.env.LOCAL_CLUSTER_POD_IP
const dnsServer = process.env.LOCAL_CLUSTER_DNS
const domain = process.env.LOCAL_CLUSTER_DOMAIN ?? 'svc.cluster.local'
const namespace = process.env.LOCAL_CLUSTER_NAMESPACE ?? 'default'
const guard = process.env.LOCAL_CLUSTER_GUARD

if (podIp !== undefined) bindToPodIp(podIp)
if (dnsServer !== undefined) resolveInCluster(dnsServer)
if (guard !== undefined) endWithNode(Number(guard))

/** Listening on all addresses means: on all of the pod's, and that is one. */
function bindToPodIp(address: string): void {
  const anywhere = new Set([undefined, null, '', '0.0.0.0', '::'])
  const listen = net.Server.prototype.listen as (...values: unknown[]) => net.Server
  net.Server.prototype.listen = function (this: net.Server, ...values: unknown[]): net.Server {
    const [first, second, ...rest] = values
    if (
      typeof first === 'object' &&
      first !== null &&
      'port' in first &&
      anywhere.has((first as net.ListenOptions).host)
    )
      return listen.call(this, { ...first, host: address }, second, ...rest)
    if (typeof first === 'number' && typeof second !== 'string')
      return listen.call(this, first, address, second, ...rest)
    if (typeof first === 'number' && anywhere.has(second as string)) return listen.call(this, first, address, ...rest)
    return listen.apply(this, values)
  } as typeof net.Server.prototype.listen
}

/** Names of Services and pods are asked of the cluster's DNS server, all others of this machine. */
function resolveInCluster(server: string): void {
  const resolver = new dns.promises.Resolver({ timeout: 2_000, tries: 2 })
  resolver.setServers([server])
  const machineLookup = dns.lookup
  type Callback = (error: NodeJS.ErrnoException | null, address?: string | dns.LookupAddress[], family?: number) => void

  const clusterNames = (name: string): string[] => {
    const plain = name.replace(/\.$/, '')
    const labels = plain.split('.')
    if (plain.endsWith(`.${domain}`)) return [plain]
    if (labels.at(-1) === 'svc') return [`${plain.slice(0, -'.svc'.length)}.${domain}`]
    if (net.isIP(plain) !== 0 || plain === 'localhost' || labels.length > 3) return []
    return [`${plain}.${namespace}.${domain}`, `${plain}.${domain}`] // the search list of a pod's resolv.conf
  }
  const lookupInCluster = async (name: string): Promise<string[]> => {
    for (const candidate of clusterNames(name)) {
      try {
        return await resolver.resolve4(candidate)
      } catch {
        // not that one; the machine is asked last, and its answer is the error that the program sees
      }
    }
    return []
  }
  const lookup = (name: string, given: unknown, done?: Callback): void => {
    const callback = (done ?? given) as Callback
    const options: dns.LookupOptions =
      typeof given === 'number' ? { family: given } : (((done && given) as dns.LookupOptions) ?? {})
    const isForV4 =
      options.family === undefined || options.family === 0 || options.family === 4 || options.family === 'IPv4'
    if (!isForV4 || clusterNames(name).length === 0) return void machineLookup(name, options, callback as never)
    void lookupInCluster(name).then((found) => {
      if (found.length === 0) return void machineLookup(name, options, callback as never)
      const [first] = found
      if (options.all === true)
        callback(
          null,
          found.map((address) => ({ address, family: 4 })),
        )
      else callback(null, first, 4)
    })
  }
  const promised = (name: string, options: dns.LookupOptions = {}) =>
    new Promise((resolve, reject) =>
      lookup(name, options, (error, address, family) =>
        error ? reject(error) : resolve(options.all === true ? address : { address, family }),
      ),
    )
  dns.lookup = lookup as typeof dns.lookup
  dns.promises.lookup = promised as typeof dns.promises.lookup
  require('node:dns/promises').lookup = promised
  syncBuiltinESMExports()
}

/** The kubelet holds the other end of this pipe and never writes: when it closes, the kubelet is gone. */
function endWithNode(fd: number): void {
  delete process.env.LOCAL_CLUSTER_GUARD // a child of this process has no such pipe
  const pipe = new net.Socket({ fd, readable: true, writable: false })
  const end = () => {
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => process.exit(137), 5_000).unref()
  }
  pipe.on('end', end).on('error', end)
  pipe.resume()
  pipe.unref()
}
