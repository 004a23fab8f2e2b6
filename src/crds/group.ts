/** The API group of every resource here; nothing else spells it. `.alt` can be registered by nobody (RFC 9476). */
export const group = 'rocketmq.alt'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`

/** Keeps a resource until what it made outside Kubernetes is dealt with. */
export const finalizer = `${group}/cleanup`

/** Labels and annotations of the objects that the operator makes. */
export const label = {
  nameServer: `${group}/name-server`,
  brokerSet: `${group}/broker-set`,
  group: `${group}/group`, // index of the broker group
  role: `${group}/role`,
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  component: 'app.kubernetes.io/component',
  partOf: 'app.kubernetes.io/part-of',
  managedBy: 'app.kubernetes.io/managed-by',
  version: 'app.kubernetes.io/version', // of a pod: that of its image
} as const

export const annotation = {
  /** Of a child: digest of what was applied last, so that an unchanged pass writes nothing. */
  applied: `${group}/applied`,
  /** Of a pod: which revision it is of; a pod with another one than its StatefulSet's template is out of date. */
  podHash: `${group}/pod-hash`,
  /** Of a pod: digests of what it was made of, `name=digest,…`: what differs from its StatefulSet's is why it is restarted. */
  madeOf: `${group}/made-of`,
  /** Of a StatefulSet: digest of what was set when its template was rendered. */
  madeFor: `${group}/made-for`,
  /** Of a resource, set by its user: any other value restarts its pods one at a time. */
  restartAt: `${group}/restart-at`,
  /** Of a StatefulSet: since when its broker group retires, RFC 3339. */
  drainingSince: `${group}/draining-since`,
  /** Of a StatefulSet: its group was to go, was not read in time and stays; for which spec, see abortMarkOf. */
  drainAborted: `${group}/drain-aborted`,
  /** Of a NameServer's StatefulSet: since when the list that clients are given has so many NameServers only, `count since RFC 3339`. */
  leavingSince: `${group}/leaving-since`,
  /** Of a StatefulSet: the size that the volumes of its group were seen to have, and how many. */
  volumes: `${group}/volumes`,
  /** Of a StatefulSet: its broker was given its topics and groups, and may register. */
  admitted: `${group}/admitted`,
} as const

export const operatorName = 'rocketmq-operator'

/** Image of this release, with the operator and the runtime in it; the one place that names it. */
export const releaseImage = 'localhost/rocketmq-operator:0.1.0'
