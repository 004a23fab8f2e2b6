import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import { apply } from './apply.ts'
import type { Catalog } from './catalog.ts'
import { checkRules } from './cel.ts'
import { completeCrd, crdProblems, establishedStatus } from './custom-resource.ts'
import { managersAfterUpdate, type Writer } from './managed-fields.ts'
import {
  copyOf,
  isEqual,
  isObject,
  type KubeObject,
  type ObjectMeta,
  objectAt,
  refusal,
  sharing,
  timestamp,
} from './object.ts'
import { checkIdentity, contentOf, invalid, isReleased, keepOnly, keptMeta, metaProblems } from './object-rules.ts'
import { jsonPatch, mergePatch, strategicMerge } from './patch.ts'
import { groupVersionOf, qualifiedName, type Resource } from './resource.ts'
import { applyDefaults, prune, type Schema, validate } from './schema.ts'
import { shapeOf } from './shape.ts'
import type { ObjectStore } from './store.ts'

export type Subresource = 'status' | undefined

export interface WriteOptions {
  manager: string
  /** Refuse, tell or drop fields that the schema does not know. */
  fieldValidation?: 'Strict' | 'Warn' | 'Ignore'
  dryRun?: boolean
  subresource?: Subresource
  /** Receives what fieldValidation Warn has to tell. */
  warn?(warning: string): void
}

export type PatchType = 'merge' | 'json' | 'strategic' | 'apply'

export interface DeleteOptions {
  gracePeriodSeconds?: number | undefined
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground' | undefined
  preconditions?: { uid?: string; resourceVersion?: string } | undefined
  dryRun?: boolean
}

/**
 * What other parts of the cluster have a say in, before an object is stored. May refuse, and change what differs from old:
 * the rest is old's own.
 */
export type Admission = (resource: Resource, object: KubeObject, old: KubeObject | undefined) => void

/**
 * The API server without HTTP: the rules of reading and writing objects. Every method does its work within one turn of
 * the event loop, so nobody sees half of it. Refusals are OperatingError KUBE_REFUSED (object.ts).
 */
export class Registry {
  readonly store: ObjectStore
  readonly catalog: Catalog
  readonly #clock: Clock
  readonly #random: Random
  readonly #admissions: Admission[] = []
  readonly #writtenAs = new WeakMap<KubeObject, Resource>() // objects that were completed and checked by a definition

  constructor(store: ObjectStore, catalog: Catalog, doors: { clock: Clock; random: Random }) {
    this.store = store
    this.catalog = catalog
    this.#clock = doors.clock
    this.#random = doors.random
    for (const crd of store.list(crdCollection)) catalog.define(crd)
  }

  admit(admission: Admission): void {
    this.#admissions.push(admission)
  }

  find(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined {
    const stored = this.store.get(resource.collection, resource.namespaced ? namespace : undefined, name)
    return stored && this.asServed(resource, stored)
  }

  get(resource: Resource, namespace: string | undefined, name: string): KubeObject {
    const found = this.find(resource, namespace, name)
    if (found === undefined) throw refusal(404, 'NotFound', `${qualifiedName(resource)} "${name}" not found`)
    return found
  }

  /** A stored object in the words of one version. */
  asServed(resource: Resource, stored: KubeObject): KubeObject {
    if (resource.convert) return resource.convert.fromStored(stored)
    const apiVersion = groupVersionOf(resource)
    return stored.apiVersion === apiVersion ? stored : { ...stored, apiVersion }
  }

  create(resource: Resource, namespace: string | undefined, input: KubeObject, options: WriteOptions): KubeObject {
    if (objectAt(input.metadata).resourceVersion)
      throw refusal(500, 'InternalError', 'resourceVersion should not be set on objects to be created')
    const object = this.#named(resource, namespace, copyOf(input))
    const { name } = object.metadata
    if (this.store.get(resource.collection, object.metadata.namespace, name) !== undefined)
      throw refusal(409, 'AlreadyExists', `${qualifiedName(resource)} "${name}" already exists`)
    this.#checkNamespace(resource, object)
    this.#stamp(object.metadata, resource)
    delete object.metadata.managedFields
    if (resource.hasStatus) delete object.status // only a write to /status may say how things are
    this.#complete(resource, object, undefined, options)
    const { status: _, ...written } = object // its first status is nobody's
    const managed = resource.hasStatus ? (written as KubeObject) : object
    object.metadata.managedFields = this.#managers(resource, undefined, managed, writerOf(resource, options))
    return this.#store(resource, object, undefined, options)
  }

  /** What a PUT does: update, by somebody who must say which version it is, where the kind asks for that. */
  replace(resource: Resource, namespace: string | undefined, input: KubeObject, options: WriteOptions): KubeObject {
    const { name, resourceVersion } = objectAt(input.metadata)
    if (
      !resourceVersion &&
      !mayReplaceBlindly(resource) &&
      this.find(resource, namespace, String(name)) !== undefined
    ) {
      const message = 'Invalid value: 0: must be specified for an update'
      const cause = { reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message }
      throw invalid(resource, String(name), [cause])
    }
    return this.update(resource, namespace, input, options)
  }

  update(resource: Resource, namespace: string | undefined, input: KubeObject, options: WriteOptions): KubeObject {
    const old = this.get(resource, namespace, String(objectAt(input.metadata).name))
    return this.#change(resource, old, input, options)
  }

  patch(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    type: PatchType,
    patch: unknown,
    options: WriteOptions & { force?: boolean },
  ): KubeObject {
    const old = this.find(resource, namespace, name)
    if (type === 'apply') return this.#apply(resource, namespace, name, old, patch, options)
    if (old === undefined) throw refusal(404, 'NotFound', `${qualifiedName(resource)} "${name}" not found`)
    if (type === 'strategic' && resource.schema !== undefined)
      throw refusal(
        415,
        'UnsupportedMediaType',
        'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
      )
    const patched = patchedBy(old, type, patch)
    // A write to the status is a conflict then, below: a real API server takes it, whatever uid it names.
    if (options.subresource === undefined && objectAt(patched.metadata).uid !== old.metadata.uid) {
      const message = `Invalid value: ${JSON.stringify(objectAt(patched.metadata).uid)}: field is immutable`
      throw invalid(resource, name, [{ reason: 'FieldValueInvalid', field: 'metadata.uid', message }])
    }
    return this.#change(resource, old, patched, options)
  }

  /** @returns the object as it is now when it has to wait for finalizers or its grace period, as it last was otherwise */
  delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions): KubeObject {
    const old = this.get(resource, namespace, name)
    const { uid, resourceVersion } = options.preconditions ?? {}
    if (
      (uid !== undefined && uid !== old.metadata.uid) ||
      (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion)
    )
      throw refusal(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": the precondition does not hold`,
      )
    const object = copyOf(old)
    const { metadata } = object
    const isFirst = metadata.deletionTimestamp === undefined
    if (isFirst) {
      const finalizer = propagationFinalizers[options.propagationPolicy ?? 'Background']
      if (finalizer !== undefined) metadata.finalizers = [...(metadata.finalizers ?? []), finalizer]
    }
    const graceSeconds = this.#graceSeconds(resource, object, options)
    const mayGo = graceSeconds === 0 && isReleased(object)
    if (options.dryRun === true) return object
    if (mayGo) return this.#remove(resource, object)
    const isShorter = graceSeconds < (metadata.deletionGracePeriodSeconds ?? Number.POSITIVE_INFINITY)
    if (!isFirst && !isShorter) return old
    metadata.deletionTimestamp = timestamp(this.#clock.now() + graceSeconds * 1000)
    metadata.deletionGracePeriodSeconds = graceSeconds
    if (isFirst && metadata.generation !== undefined) metadata.generation += 1
    if (resource.kind === 'Namespace') object.status = { ...objectAt(object.status), phase: 'Terminating' }
    return this.#put(resource, object)
  }

  #apply(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    old: KubeObject | undefined,
    input: unknown,
    options: WriteOptions & { force?: boolean },
  ): KubeObject {
    if (!isObject(input)) throw refusal(400, 'BadRequest', 'the applied configuration is no object')
    const applied = copyOf(input) as KubeObject
    applied.metadata = { ...objectAt(applied.metadata), name } as ObjectMeta
    checkIdentity(resource, applied, namespace, name)
    if (applied.metadata.managedFields !== undefined)
      throw refusal(400, 'BadRequest', 'metadata.managedFields must be nil')
    if (old === undefined && options.subresource !== undefined)
      throw refusal(404, 'NotFound', `${qualifiedName(resource)} "${name}" not found`)
    if (applied.metadata.uid !== undefined && applied.metadata.uid !== old?.metadata.uid)
      throw refusal(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": uid mismatch: the provided object specified uid ${applied.metadata.uid}, and no existing object was found`,
      )
    checkVersion(resource, applied.metadata, old)
    if (options.subresource === 'status') keepOnly(applied, ['status'])
    else if (resource.hasStatus) delete applied.status
    if (resource.schema !== undefined) this.#pruneUnknown(resource.schema, applied, options)
    const writer = { ...writerOf(resource, options), operation: 'Apply' as const }
    const merged = apply(old, applied, writer, {
      force: options.force === true,
      shape: shapeOf(resource.schema),
      now: timestamp(this.#clock.now()),
    })
    if (old !== undefined) return this.#change(resource, old, merged, options, true)
    const object = this.#named(resource, namespace, merged)
    this.#checkNamespace(resource, object)
    this.#stamp(object.metadata, resource)
    this.#complete(resource, object, undefined, options)
    return this.#store(resource, object, undefined, options)
  }

  /** One way in for PUT and every kind of patch. */
  #change(
    resource: Resource,
    old: KubeObject,
    next: KubeObject,
    options: WriteOptions,
    managersAreSet = false,
  ): KubeObject {
    const { name, namespace } = old.metadata
    const sent = objectAt(next.metadata) as Partial<ObjectMeta>
    checkIdentity(resource, next, namespace, name)
    if (sent.uid !== undefined && sent.uid !== old.metadata.uid)
      throw refusal(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${old.metadata.uid}`,
      )
    checkVersion(resource, sent, old)

    let object: KubeObject
    if (options.subresource === 'status') {
      object = { ...old, status: next.status, metadata: { ...old.metadata } }
      if (next.status === undefined) delete object.status
      if (managersAreSet && sent.managedFields !== undefined) object.metadata.managedFields = sent.managedFields
    } else {
      object = { ...next, metadata: keptMeta(old.metadata, sent) }
      if (resource.hasStatus) {
        if (old.status === undefined) delete object.status
        else object.status = old.status
      }
    }
    object = this.#own(resource, object, old)
    this.#complete(resource, object, old, options)
    for (const key of Object.keys(object)) if (key !== 'metadata') object[key] = sharing(object[key], old[key])
    object.metadata = { ...sharing(object.metadata, old.metadata) }
    if (resource.hasGeneration && !isEqual(contentOf(object), contentOf(old)))
      object.metadata.generation = (old.metadata.generation ?? 0) + 1
    if (!managersAreSet) {
      const isCleared = options.subresource === undefined && sent.managedFields?.length === 0
      const before = isCleared ? { ...old, metadata: { ...old.metadata, managedFields: [] } } : old
      object.metadata.managedFields = this.#managers(resource, before, object, writerOf(resource, options))
    }
    if (isEqual(object, old)) return old // nothing new: no new resourceVersion, nobody is woken
    return this.#store(resource, object, old, options)
  }

  /** A copy to work on. What is old's own, and would be completed and checked as it was then, stays so. */
  #own(resource: Resource, object: KubeObject, old: KubeObject): KubeObject {
    if (resource.schema === undefined || this.#writtenAs.get(old) !== resource) return copyOf(object)
    const own = { ...object }
    for (const [key, value] of Object.entries(object)) if (value !== old[key]) own[key] = copyOf(value)
    return own
  }

  #complete(resource: Resource, object: KubeObject, old: KubeObject | undefined, options: WriteOptions): void {
    object.apiVersion = groupVersionOf(resource)
    object.kind = resource.kind
    resource.complete?.(object, old)
    if (resource.collection === crdCollection) completeCrd(object)
    const { schema } = resource
    const checked = old !== undefined && this.#writtenAs.get(old) === resource ? old : undefined
    if (schema !== undefined) {
      applyDefaults(schema, object, checked)
      this.#pruneUnknown(schema, object, options, checked)
    }
    for (const admission of this.#admissions) admission(resource, object, old)
    const causes = [
      ...metaProblems(object.metadata, resource, old?.metadata),
      ...(resource.problemsOf?.(object, old) ?? []),
      ...(resource.collection === crdCollection ? crdProblems(object) : []),
    ]
    if (schema !== undefined) {
      causes.push(...validate(schema, object, '', checked))
      if (causes.length === 0) causes.push(...checkRules(schema, object, old, checked !== undefined))
    }
    if (causes.length > 0) throw invalid(resource, object.metadata.name, causes)
  }

  #pruneUnknown(schema: Schema, object: KubeObject, options: WriteOptions, checked?: KubeObject): void {
    const unknown = prune(schema, object, '', checked).map((path) => `unknown field "${path}"`)
    if (unknown.length === 0) return
    if (options.fieldValidation === 'Strict')
      throw refusal(
        400,
        'BadRequest',
        `${object.kind} in version "${object.apiVersion.split('/').at(-1)}" cannot be handled as a ${object.kind}: strict decoding error: ${unknown.join(', ')}`,
      )
    if (options.fieldValidation === 'Warn') for (const warning of unknown) options.warn?.(warning)
  }

  #store(resource: Resource, object: KubeObject, old: KubeObject | undefined, options: WriteOptions): KubeObject {
    if (options.dryRun === true)
      return { ...object, metadata: { ...object.metadata, resourceVersion: old?.metadata.resourceVersion ?? '' } }
    if (
      old?.metadata.deletionTimestamp !== undefined &&
      (object.metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
      isReleased(object)
    )
      return this.#remove(resource, object)
    const now = this.#put(resource, object)
    this.#writtenAs.set(now, resource)
    return now
  }

  #put(resource: Resource, object: KubeObject): KubeObject {
    const isNewCrd = resource.collection === crdCollection && object.status === undefined
    if (isNewCrd) object.status = establishedStatus(object, timestamp(this.#clock.now()))
    const stored = this.store.put(resource.collection, resource.convert ? resource.convert.toStored(object) : object)
    if (resource.collection === crdCollection) this.catalog.define(stored)
    return this.asServed(resource, stored)
  }

  #remove(resource: Resource, object: KubeObject): KubeObject {
    const { namespace, name } = object.metadata
    if (resource.collection === crdCollection) this.#removeInstances(object)
    const removed = this.store.remove(resource.collection, namespace, name) ?? object
    if (resource.collection === crdCollection) this.catalog.forget(object)
    return this.asServed(resource, removed)
  }

  /** The objects of a definition go with it, finalizers or not: nobody could read them any more. */
  #removeInstances(crd: KubeObject): void {
    const collection = `${objectAt(crd.spec).group}/${objectAt(crd.spec, 'names').plural}`
    for (const { metadata } of this.store.list(collection))
      this.store.remove(collection, metadata.namespace, metadata.name)
  }

  #graceSeconds(resource: Resource, object: KubeObject, { gracePeriodSeconds }: DeleteOptions): number {
    if (resource.collection !== '/pods') return 0
    const isRunning = typeof objectAt(object.spec).nodeName === 'string'
    if (!isRunning || ['Succeeded', 'Failed'].includes(String(objectAt(object.status).phase))) return 0
    return gracePeriodSeconds ?? Number(objectAt(object.spec).terminationGracePeriodSeconds ?? 30)
  }

  #named(resource: Resource, namespace: string | undefined, object: KubeObject): KubeObject {
    object.metadata = { ...(objectAt(object.metadata) as unknown as ObjectMeta) }
    const { metadata } = object
    if (!metadata.name && metadata.generateName) metadata.name = metadata.generateName + suffixOf(this.#random)
    if (!metadata.name)
      throw invalid(resource, '', [
        {
          reason: 'FieldValueRequired',
          field: 'metadata.name',
          message: 'Required value: name or generateName is required',
        },
      ])
    checkIdentity(resource, object, namespace, metadata.name)
    if (resource.namespaced) metadata.namespace = namespace ?? 'default'
    else delete metadata.namespace
    return object
  }

  #stamp(metadata: ObjectMeta, resource: Resource): void {
    metadata.uid = this.#random.uuid()
    metadata.creationTimestamp = timestamp(this.#clock.now())
    delete metadata.deletionTimestamp
    delete metadata.deletionGracePeriodSeconds
    if (resource.hasGeneration) metadata.generation = 1
    else delete metadata.generation
  }

  #checkNamespace(resource: Resource, { metadata }: KubeObject): void {
    if (!resource.namespaced) return
    const namespace = this.store.get('/namespaces', undefined, metadata.namespace ?? '')
    if (namespace === undefined) throw refusal(404, 'NotFound', `namespaces "${metadata.namespace}" not found`)
    if (namespace.metadata.deletionTimestamp === undefined) return
    const message = `${qualifiedName(resource)} "${metadata.name}" is forbidden: unable to create new content in namespace ${metadata.namespace} because it is being terminated`
    throw refusal(403, 'Forbidden', message, {
      causes: [
        { reason: 'NamespaceTerminating', message: 'namespace is being terminated', field: 'metadata.namespace' },
      ],
    })
  }

  #managers(resource: Resource, before: KubeObject | undefined, after: KubeObject, writer: Writer) {
    return managersAfterUpdate(before, after, writer, shapeOf(resource.schema), timestamp(this.#clock.now()))
  }
}

/** An object with a patch on it, stored nowhere. Applying counts as merging: there are no managers to look at. */
export function patchedBy(object: KubeObject, type: PatchType, patch: unknown): KubeObject {
  if (type === 'json') return jsonPatch(object, patch) as KubeObject
  return (type === 'strategic' ? strategicMerge(object, patch) : mergePatch(object, patch)) as KubeObject
}

const crdCollection = 'apiextensions.k8s.io/customresourcedefinitions'

const propagationFinalizers = { Orphan: 'orphan', Foreground: 'foregroundDeletion', Background: undefined }

const suffixLength = 5
const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789' // Kubernetes': no vowels and nothing that looks like one, so no words

function suffixOf(random: Random): string {
  return [...random.bytes(suffixLength)].map((byte) => suffixLetters[byte % suffixLetters.length]).join('')
}

/** Kinds that may be replaced by who does not say which version that was. Custom resources may not. */
function mayReplaceBlindly({ schema, collection }: Resource): boolean {
  return schema === undefined && collection !== crdCollection && collection !== 'coordination.k8s.io/leases'
}

/** Who names a version writes only where that is still the object's. */
function checkVersion(resource: Resource, sent: Partial<ObjectMeta>, old: KubeObject | undefined): void {
  if (!sent.resourceVersion || old === undefined || sent.resourceVersion === old.metadata.resourceVersion) return
  throw refusal(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedName(resource)} "${old.metadata.name}": the object has been modified; please apply your changes to the latest version and try again`,
  )
}

function writerOf(resource: Resource, { manager, subresource }: WriteOptions): Writer {
  return { manager, operation: 'Update', apiVersion: groupVersionOf(resource), subresource }
}
