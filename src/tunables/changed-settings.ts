import { dirname } from 'node:path'
import type { Files } from '../base/files.ts'
import { type Properties, readProperties, writeProperties } from './properties.ts'

/**
 * Keeps settings that changed while a role ran in its file, for the next start. All other keys stay; comments do not, but
 * the file as it was lies beside it with `.bak` at its end. Either file is old or new, never half.
 * @throws OperatingError FILE_FAILED, as for the mounted file of a ConfigMap
 */
export function saveChangedSettings(path: string, changes: Properties, files: Files): void {
  const before = files.exists(path) ? files.readText(path) : undefined
  if (before === undefined) files.makeDirectory(dirname(path))
  else files.writeText(`${path}.bak`, before)
  const merged = new Map([...readProperties(before ?? '', path), ...changes])
  files.writeText(path, writeProperties([...merged].map(([key, { value }]) => [key, value])))
}
