import { z } from 'zod'
import type { Definition } from './definition.ts'
import {
  allowedNamespaces,
  commonStatus,
  configMap,
  hibernate,
  image,
  paused,
  podTemplate,
  resources,
  rolloutStatus,
  scaleStatus,
} from './fields.ts'

/** Settings that follow from the resource itself. Paths are given as arguments, see src/controllers. */
export const nameServerOwnedKeys = [
  'listenPort',
  'bindAddress',
  'rocketmqHome',
  'kvConfigPath',
  'configStorePath',
  'healthPort',
]

export const nameServerSpec = z.object({
  replicas: z
    .int32()
    .min(1)
    .max(9)
    .default(2)
    .describe(
      'NameServers. Each holds all routes; any one of them can fail. One that is too many serves for two minutes more.',
    ),
  image: image.optional(),
  config: configMap(nameServerOwnedKeys, 'NameServer', 'A change restarts the pods one at a time.').optional(),
  resources: resources.optional(),
  podTemplate: podTemplate.optional(),
  allowedNamespaces: allowedNamespaces('BrokerSets'),
  paused,
  hibernate: hibernate('Refused while a BrokerSet that is awake refers to it: then the pods stay, or come back.'),
})
export type NameServerSpec = z.infer<typeof nameServerSpec>

export const nameServerStatus = z.object({
  ...commonStatus,
  ...scaleStatus,
  replicas: z.int32().describe('Pods that exist.').optional(),
  readyReplicas: z.int32().describe('Pods that answer.').optional(),
  updatedReplicas: z
    .int32()
    .describe('Pods of those wanted that run as the resource says; 0 while it hibernates.')
    .optional(),
  version: z
    .string()
    .max(128)
    .describe(
      'What the pods run, by the tag of their image, else its digest; during a roll the former one, until the last pod has the other. ' +
        'Absent while it hibernates.',
    )
    .optional(),
  address: z
    .string()
    .max(4096)
    .describe('What clients take as namesrvAddr: every NameServer that stays, published once all of them exist.')
    .optional(),
  rollout: rolloutStatus('NameServers', 'NameServer', 'RoutesDiffer').optional(),
  registered: z
    .object({
      brokerSets: z.int32().describe('BrokerSets that refer to it and are awake.'),
      brokers: z.int32().describe('Brokers that at least one NameServer knows, those of other owners too.'),
    })
    .describe('Who registers here.')
    .optional(),
  members: z
    .array(
      z.object({
        pod: z.string().max(63).describe('Name of the pod.'),
        ready: z.boolean().describe('Whether it answers.'),
        brokers: z.int32().describe('Brokers that it knows; absent when it does not say.').optional(),
        routeHash: z
          .string()
          .max(64)
          .describe(
            'Digest of the brokers that it knows and of their addresses: one whose digest is not that of the others sends clients ' +
              'elsewhere. Topics do not count.',
          )
          .optional(),
        leavesAt: z
          .string()
          .describe('When it is stopped: it is not in address any more, and serves until clients have learned that.')
          .meta({ format: 'date-time' })
          .optional(),
      }),
    )
    .max(16)
    .describe('Each NameServer that runs, and each that is to go, until it is gone.')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['pod'] })
    .optional(),
})
export type NameServerStatus = z.infer<typeof nameServerStatus>

export const nameServerDefinition: Definition = {
  kind: 'NameServer',
  plural: 'nameservers',
  singular: 'nameserver',
  shortName: 'mqns',
  describes: 'NameServers of RocketMQ: they tell clients which broker has which queue.',
  spec: nameServerSpec,
  status: nameServerStatus,
  rules: [
    {
      rule: "self.metadata.name.size() <= 49 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
      message: 'the name becomes part of Service names: at most 49 of a-z, 0-9 and -, beginning with a letter',
    },
  ],
  scale: { spec: '.spec.replicas', status: '.status.replicas' },
  columns: [
    { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas', describes: 'NameServers wanted' },
    { name: 'Ready', type: 'integer', jsonPath: '.status.readyReplicas', describes: 'NameServers that answer' },
    {
      name: 'Brokers',
      type: 'integer',
      jsonPath: '.status.registered.brokers',
      describes: 'Brokers that are registered',
    },
    {
      name: 'Available',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Available")].status',
      describes: 'Whether one answers',
    },
    { name: 'Version', type: 'string', jsonPath: '.status.version', describes: 'What the NameServers run' },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      describes: 'Why it is ready or not',
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', describes: 'Time since creation' },
    { name: 'Address', type: 'string', jsonPath: '.status.address', wide: true, describes: 'namesrvAddr for clients' },
    {
      name: 'Updated',
      type: 'integer',
      jsonPath: '.status.updatedReplicas',
      wide: true,
      describes: 'NameServers that run as the resource says',
    },
  ],
}
