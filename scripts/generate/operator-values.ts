import { z } from 'zod'
import { logLevels } from '../../src/base/log.ts'
import { releaseImage } from '../../src/crds/index.ts'

const at = releaseImage.lastIndexOf(':')
/** Of the image of this release. */
export const repository = releaseImage.slice(0, at)
export const releaseVersion = releaseImage.slice(at + 1)

const texts = z.record(z.string(), z.string())
const passThrough = z.looseObject({})

/** Values of charts/rocketmq-operator: what Helm checks, their defaults and what they mean. */
export const operatorValues = z.strictObject({
  image: z
    .strictObject({
      repository: z.string().min(1).default(repository).describe('Image of the operator, without its tag.'),
      tag: z.string().default('').describe("Its tag. Default: the chart's appVersion."),
      digest: z
        .string()
        .regex(/^(sha256:[0-9a-f]{64})?$/)
        .default('')
        .describe('sha256:…, wins over the tag.'),
      pullPolicy: z.enum(['IfNotPresent', 'Always', 'Never']).default('IfNotPresent').describe('When it is pulled.'),
    })
    .prefault({}),
  runtimeImage: z
    .string()
    .default('')
    .describe("Image of new NameServers and brokers whose resource names none. Default: the operator's own."),
  imagePullSecrets: z
    .array(z.strictObject({ name: z.string().min(1) }))
    .default([])
    .describe("Secrets for the operator's image: [{name: NAME}]. NameServers and brokers have them in podTemplate."),
  replicas: z
    .int()
    .min(1)
    .max(9)
    .default(2)
    .describe('Operators. One works, the others are ready to: they have seen everything already.'),
  watch: z
    .strictObject({
      scope: z
        .enum(['All', 'Own', 'List'])
        .default('All')
        .describe(
          'Namespaces whose resources the operator looks after: all of them, that of the release, or those of watch.namespaces. With Own and List it gets its permissions there only.',
        ),
      namespaces: z
        .array(z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/))
        .default([])
        .describe('For List: namespaces, which must exist.'),
    })
    .prefault({}),
  logLevel: z.enum(logLevels).default('info').describe('What the operator logs.'),
  tls: z
    .strictObject({
      enabled: z.boolean().default(false).describe('Speak TLS with NameServers and brokers.'),
      secretName: z
        .string()
        .default('')
        .describe(
          'Secret with tls.properties (the tls.client.* keys) and the files that it names, mounted at /etc/rocketmq-operator/tls. Default: servers prove themselves to public authorities.',
        ),
    })
    .prefault({}),
  crds: z
    .strictObject({
      install: z
        .boolean()
        .default(true)
        .describe(
          'Make and upgrade the resource definitions with the release. They are kept when it is uninstalled. false where somebody else brings them.',
        ),
    })
    .prefault({}),
  resources: z
    .strictObject({
      requests: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
      limits: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    })
    .default({ requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } })
    .describe('Resources of the container.'),
  nodeSelector: texts.default({}).describe('Labels that a node must have.'),
  tolerations: z.array(passThrough).default([]).describe('Taints that the pods tolerate.'),
  affinity: passThrough.default({}).describe('Affinity of the pods. They spread over nodes in any case.'),
  priorityClassName: z.string().default('').describe('Priority class of the pods.'),
  commonLabels: texts.default({}).describe('More labels of everything in the release.'),
  podLabels: texts.default({}).describe('More labels of the pods.'),
  podAnnotations: texts.default({}).describe('More annotations of the pods.'),
  podDisruptionBudget: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Let nodes be drained of one operator at a time.'),
      maxUnavailable: z
        .union([z.int().min(0), z.string().regex(/^\d+%$/)])
        .default(1)
        .describe('Operators that may be away.'),
    })
    .prefault({}),
  metrics: z
    .strictObject({
      service: z
        .strictObject({
          enabled: z.boolean().default(true).describe('A Service whose port http-metrics serves /metrics.'),
        })
        .prefault({}),
      serviceMonitor: z
        .strictObject({
          enabled: z
            .boolean()
            .default(false)
            .describe("A ServiceMonitor of Prometheus' operator, and the Service that it needs."),
          interval: z.string().default('30s').describe('How often it is scraped.'),
          labels: texts.default({}).describe('More labels of it, by which a Prometheus finds it.'),
        })
        .prefault({}),
    })
    .prefault({}),
  networkPolicy: z
    .strictObject({
      enabled: z.boolean().default(false).describe('Let nobody connect to the operator but to its port for metrics.'),
      from: z.array(passThrough).default([]).describe('Peers that may; [] is everybody.'),
    })
    .prefault({}),
  nameOverride: z.string().max(36).default('').describe('Instead of the name of the chart in names and labels.'),
  fullnameOverride: z.string().max(36).default('').describe('Instead of names made from those of release and chart.'),
})
export type OperatorValues = z.infer<typeof operatorValues>
