import { randomBytes, randomUUID } from 'node:crypto'
import type { Random } from '../random.ts'

export const nodeRandom: Random = {
  float: () => Math.random(),
  int: (limit) => Math.floor(Math.random() * limit),
  bytes: (count) => randomBytes(count),
  uuid: () => randomUUID(),
}
