import { z } from 'zod'

/** A rule that the API server checks itself. Source: Kubernetes, CustomResourceValidation, CEL. */
export interface CelRule {
  rule: string
  message: string
}

export function rules(...list: CelRule[]): { 'x-kubernetes-validations': CelRule[] } {
  return { 'x-kubernetes-validations': list }
}

/** Lets whatever the pod's own schema allows pass through; the API server checks it in the StatefulSet. */
const passThrough = z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true })

const labelText = z.string().max(63)
const labelMap = z.record(z.string().max(317), labelText)

/** Source: Kubernetes, resource.Quantity; controller-gen writes the same pattern. */
const quantityPattern = '^[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$'

export const quantity = z
  .union([z.int(), z.string().max(32).regex(new RegExp(quantityPattern))])
  .meta({ 'x-kubernetes-int-or-string': true, pattern: quantityPattern })
  .describe('A Kubernetes quantity, such as 500m or 20Gi.')

export const resources = z
  .object({
    requests: z.record(z.string().max(63), quantity).describe('What a node must have free for the pod.').optional(),
    limits: z.record(z.string().max(63), quantity).describe('What the pod may use at most.').optional(),
  })
  .describe('CPU and memory of each pod, as in a container.')

const toleration = z.object({
  key: z.string().max(317).describe('Taint key; empty matches every key.').optional(),
  operator: z.enum(['Exists', 'Equal']).describe('How value is compared.').optional(),
  value: z.string().max(63).describe('Taint value.').optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).describe('Taint effect; empty: all.').optional(),
  tolerationSeconds: z.int().describe('How long NoExecute is tolerated.').meta({ format: 'int64' }).optional(),
})

export const podTemplate = z
  .object({
    labels: labelMap.describe('More labels of the pods.').optional(),
    annotations: z
      .record(z.string().max(317), z.string().max(4096))
      .describe('More annotations of the pods.')
      .optional(),
    nodeSelector: labelMap.describe('Labels that a node must have.').optional(),
    tolerations: z.array(toleration).max(32).describe('Taints that the pods tolerate.').optional(),
    affinity: passThrough
      .describe('Affinity, as in a pod. Default: the brokers of a group run on different nodes; {} is none.')
      .optional(),
    topologySpreadConstraints: z
      .array(passThrough)
      .max(8)
      .describe('Spreading over zones and nodes, as in a pod. Default: as even as may be.')
      .optional(),
    priorityClassName: z.string().max(253).describe('Priority class of the pods.').optional(),
    imagePullSecrets: z
      .array(z.object({ name: z.string().max(253).describe('Name of the Secret.') }))
      .max(8)
      .describe('Secrets for the image registry.')
      .optional(),
    terminationGracePeriodSeconds: z
      .int32()
      .min(1)
      .max(3600)
      .describe('How long a pod may take to stop. Default 60.')
      .optional(),
  })
  .describe('What the pods get besides what the operator decides.')
export type PodTemplate = z.infer<typeof podTemplate>

export const image = z
  .string()
  .min(1)
  .max(512)
  .describe(
    "Image of the pods. Default: the operator's own; pods that run keep theirs until something restarts them all.",
  )

/** A map of settings of which some belong to the operator. @param change what a change does */
export function configMap(owned: readonly string[], what: string, change: string) {
  return z
    .record(z.string().min(1).max(128), z.string().max(1024))
    .describe(`Settings of the ${what} under Apache RocketMQ's names. ${change}`)
    .meta({
      maxProperties: 128,
      ...rules({
        rule: `self.all(k, !(k in [${owned.map((key) => `'${key}'`).join(', ')}]))`,
        message: `the operator sets these itself: ${owned.join(', ')}`,
      }),
    })
}

/** A field of every resource. */
export const paused = z
  .boolean()
  .default(false)
  .describe('While true nothing is changed for this resource; the status still says what is. Deletion works.')

/** @param keeps what outlasts the pods */
export function hibernate(keeps: string) {
  return z.boolean().default(false).describe(`While true there are no pods. ${keeps}`)
}

/** host:port; IPv6 in brackets. */
export const address = z
  .string()
  .max(261)
  .regex(/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?):[0-9]{1,5}$/)

export const objectName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)

/** @param target kind that is referred to @param describes what the reference means */
export function reference(target: string, describes: string) {
  const name = objectName.describe(`Name of a ${target}.`)
  const namespace = z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
    .describe(`Its namespace, which its spec.allowedNamespaces must let in. Default: that of this resource.`)
    .optional()
  return z.object({ name, namespace }).describe(describes)
}

const labelSelector = z.object({
  matchLabels: labelMap.describe('Labels that it has, all of them.').meta({ maxProperties: 32 }).optional(),
  matchExpressions: z
    .array(
      z
        .object({
          key: z.string().max(317).describe('Key of a label.'),
          operator: z
            .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
            .describe('How its value is compared with values; NotIn holds without the label, too.'),
          values: z.array(labelText).max(32).describe('For In and NotIn.').optional(),
        })
        .meta(
          rules({
            rule: "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            message: 'with operator In and NotIn there are values, with the others none',
          }),
        ),
    )
    .max(32)
    .describe('Conditions on its labels, all of which hold.')
    .optional(),
})
export type LabelSelector = z.infer<typeof labelSelector>

/** @param referrers kinds that refer to the resource */
export function allowedNamespaces(referrers: string) {
  return z
    .object({
      from: z
        .enum(['Same', 'Selector', 'All'])
        .describe('Same: none but its own. Selector: those with certain labels. All: every one.'),
      selector: labelSelector
        .describe(
          'For Selector: labels of the namespaces. It needs an operator that looks at all namespaces; with another one it lets nobody in.',
        )
        .optional(),
    })
    .describe(`Other namespaces whose ${referrers} may refer to this. Default: none.`)
    .meta(
      rules({
        rule: "(self.from == 'Selector') == has(self.selector)",
        message: 'selector goes with from: Selector, and only with it',
      }),
    )
    .optional()
}
export type AllowedNamespaces = NonNullable<z.infer<ReturnType<typeof allowedNamespaces>>>

/** Kubernetes' condition, as kstatus reads it. Source: metav1.Condition. */
export const condition = z.object({
  type: z.string().max(316).describe('What is said, such as Ready.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: z.int().min(0).describe('Generation of the spec that it was seen for.').meta({ format: 'int64' }),
  lastTransitionTime: z.string().describe('When status changed last.').meta({ format: 'date-time' }),
  reason: z.string().max(1024).describe('One word for programs.'),
  message: z.string().max(32768).describe('A sentence for people.'),
})
export type Condition = z.infer<typeof condition>

export const commonStatus = {
  observedGeneration: z
    .int()
    .describe('Generation of the spec that this status speaks of.')
    .meta({ format: 'int64' })
    .optional(),
  conditions: z
    .array(condition)
    .max(16)
    .describe('Ready, Reconciling, Stalled and more; each with its reason.')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
    .optional(),
}

export const scaleStatus = {
  selector: z.string().max(1024).describe('Label selector of the pods, for the scale subresource.').optional(),
}

/**
 * How far a rollout is.
 * @param things what is restarted @param one how the reason of one that is not ready begins
 * @param trouble the other reason why it does not go on
 */
export function rolloutStatus(things: string, one: string, trouble: string) {
  return z
    .object({
      revision: z.string().max(64).describe(`What the ${things} are to be: another one is another rollout.`),
      updated: z.int32().describe(`Those of the ${things} that are so.`),
      total: z.int32().describe(`All ${things} that stay.`),
      pausedReason: z
        .string()
        .max(64)
        .describe(
          `Why it does not go on: Paused; ${one}NotReady or ${trouble}, after a minute and until all ${things} are well.`,
        )
        .optional(),
    })
    .describe(`While ${things} are restarted one at a time.`)
}
export type RolloutStatus = z.infer<ReturnType<typeof rolloutStatus>>
