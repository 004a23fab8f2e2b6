import * as z from './values.ts'

/** Kinds of value that several settings have. */
export const port = z.int32().min(0).max(65_535)

/** Ours: Apache has no health endpoints. Off when run alone; the operator turns it on. */
export const healthPort = port.default(0)

/** A host name or an IP address, without a port. */
export const address = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]+$/)
  .meta({ fits: 'a host name or an IP address' })

/** A name that becomes part of topic names and of paths. */
export const fieldName = z
  .string()
  .max(127)
  .regex(/^[A-Za-z0-9_.%|-]+$/)
  .meta({ fits: 'at most 127 of A-Z, a-z, 0-9, _, ., %, - and the vertical bar' })

export const ms = z.int32().min(1).max(86_400_000)

export const bytes = (min: number, max: number) => z.int().min(min).max(max)
