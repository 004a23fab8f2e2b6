import type { Random } from '../random.ts'

/** node:crypto weighs 6 MiB: loaded by the first who asks for bytes, which a NameServer never does. */
const crypto = () => process.getBuiltinModule('node:crypto')

export const nodeRandom: Random = {
  float: () => Math.random(),
  int: (limit) => Math.floor(Math.random() * limit),
  bytes: (count) => crypto().randomBytes(count),
  uuid: () => crypto().randomUUID(),
}
