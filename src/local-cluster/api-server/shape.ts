import { type Schema, schemaOfField } from './schema.ts'

/**
 * How values at one place are merged. A list is replaced whole (atomic), is a set of scalars, or a map whose items are
 * told apart by the named keys.
 */
export interface Shape {
  list: 'atomic' | 'set' | readonly string[]
  isAtomicMap: boolean
  field(key: string): Shape
  item(): Shape
}

/** Built-in kinds: Kubernetes uses a field name for one thing only, `ports` apart, so the name decides. */
const mergeKeys: Record<string, readonly string[]> = {
  conditions: ['type'],
  containers: ['name'],
  containerStatuses: ['name'],
  env: ['name'],
  hostAliases: ['ip'],
  imagePullSecrets: ['name'],
  initContainers: ['name'],
  ownerReferences: ['uid'],
  podIPs: ['ip'],
  secrets: ['name'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  volumeDevices: ['devicePath'],
  volumeMounts: ['mountPath'],
  volumes: ['name'],
}
const sets = new Set(['finalizers'])
const atomicMaps = new Set(['selector', 'nodeSelector', 'fieldRef', 'configMapKeyRef', 'secretKeyRef', 'labelSelector'])

function listShape(name: string, inContainer: boolean): Shape['list'] {
  if (sets.has(name)) return 'set'
  if (name === 'ports') return inContainer ? ['containerPort', 'protocol'] : ['port', 'protocol']
  return mergeKeys[name] ?? 'atomic'
}

const builtinShapes = new Map<string, Shape>() // one for each name that means something, and one for all others

function builtinAt(name: string, inContainer: boolean): Shape {
  const isNamed = name === 'ports' || name in mergeKeys || sets.has(name) || atomicMaps.has(name)
  const key = `${isNamed ? name : ''} ${inContainer}`
  let shape = builtinShapes.get(key)
  if (shape === undefined) {
    shape = {
      list: listShape(name, inContainer),
      isAtomicMap: atomicMaps.has(name),
      field: (below) => builtinAt(below, inContainer),
      item: () => builtinAt('', inContainer || name === 'containers' || name === 'initContainers'),
    }
    builtinShapes.set(key, shape)
  }
  return shape
}

const schemaShapes = new WeakMap<Schema, Shape>()

function schemaAt(schema: Schema | undefined): Shape {
  if (schema === undefined) return unknownShape
  let shape = schemaShapes.get(schema)
  if (shape !== undefined) return shape
  const type = schema['x-kubernetes-list-type']
  shape = {
    list: type === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : type === 'set' ? 'set' : 'atomic',
    isAtomicMap: schema['x-kubernetes-map-type'] === 'atomic',
    field: (key) => schemaAt(schemaOfField(schema, key)),
    item: () => schemaAt(schema.items),
  }
  schemaShapes.set(schema, shape)
  return shape
}

/** Of what a schema does not describe. */
const unknownShape: Shape = { list: 'atomic', isAtomicMap: false, field: () => unknownShape, item: () => unknownShape }

export const builtinShape: Shape = builtinAt('', false)

const objectShapes = new WeakMap<Schema, Shape>()

/** The shape of a whole object; metadata is the same in all. */
export function shapeOf(schema: Schema | undefined): Shape {
  if (schema === undefined) return builtinShape
  let shape = objectShapes.get(schema)
  if (shape !== undefined) return shape
  const own = schemaAt(schema)
  shape = { ...own, field: (key) => (key === 'metadata' ? builtinShape : own.field(key)) }
  objectShapes.set(schema, shape)
  return shape
}
