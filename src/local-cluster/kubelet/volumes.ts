import * as fs from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { makeDirectory } from '../../base/node/index.ts'
import type { Container, Pod, Volume } from '../workloads/objects.ts'
import { ConfigurationProblem, type Mount, type ReadData } from './environment.ts'

export interface VolumeFolders {
  /** The pod's own folder: goes with the pod. */
  pod: string
  /** The folder of a PersistentVolumeClaim; undefined while that is not there or not bound. */
  claim(name: string): string | undefined
}

/** Makes the folders of a pod's volumes, with what belongs into them. @throws ConfigurationProblem */
export function makeVolumes(pod: Pod, folders: VolumeFolders, read: ReadData): Map<string, string> {
  const made = new Map<string, string>()
  for (const volume of pod.spec.volumes ?? []) {
    const folder = folderOf(volume, folders)
    makeDirectory(folder, 0o700)
    if (volume.configMap !== undefined) fill(folder, 'configMap', volume.configMap.name, volume.configMap, read)
    if (volume.secret !== undefined) fill(folder, 'secret', volume.secret.secretName, volume.secret, read)
    made.set(volume.name, folder)
  }
  return made
}

function folderOf(volume: Volume, folders: VolumeFolders): string {
  const { persistentVolumeClaim: claim } = volume
  if (claim !== undefined) {
    const folder = folders.claim(claim.claimName)
    if (folder === undefined) throw new ConfigurationProblem(`persistentvolumeclaim "${claim.claimName}" not found`)
    return folder
  }
  if (volume.emptyDir === undefined && volume.configMap === undefined && volume.secret === undefined)
    throw new ConfigurationProblem(`volume "${volume.name}" is of a kind that the local cluster does not have`)
  return join(folders.pod, 'volumes', volume.name)
}

interface Selection {
  optional?: boolean
  items?: { key: string; path: string }[]
}

function fill(
  folder: string,
  kind: 'configMap' | 'secret',
  name: string,
  { optional, items }: Selection,
  read: ReadData,
): void {
  const data = read(kind, name)
  if (data === undefined && optional !== true) throw new ConfigurationProblem(`${kind} "${name}" not found`)
  fs.rmSync(folder, { recursive: true, force: true })
  makeDirectory(folder, 0o700)
  for (const { key, path } of items ?? Object.keys(data ?? {}).map((key) => ({ key, path: key }))) {
    const file = resolve(folder, path)
    if (!file.startsWith(folder + sep)) throw new ConfigurationProblem(`path "${path}" leaves its volume`)
    const bytes = data?.[key]
    if (bytes === undefined) {
      if (optional === true) continue
      throw new ConfigurationProblem(`${kind} "${name}" has no key ${key}`)
    }
    makeDirectory(dirname(file), 0o700)
    fs.writeFileSync(file, bytes, { mode: 0o600 })
  }
}

/** Where a container's mount paths lead. @throws ConfigurationProblem */
export function mountsOf(container: Container, volumes: ReadonlyMap<string, string>): Mount[] {
  return (container.volumeMounts ?? []).map(({ name, mountPath, subPath }) => {
    const folder = volumes.get(name)
    if (folder === undefined) throw new ConfigurationProblem(`no volume "${name}" for the mount at ${mountPath}`)
    if (subPath === undefined) return { mountPath, folder }
    const below = resolve(folder, subPath)
    if (!below.startsWith(folder + sep)) throw new ConfigurationProblem(`subPath "${subPath}" leaves its volume`)
    if (!fs.existsSync(below)) makeDirectory(below, 0o700) // it may be a file
    return { mountPath, folder: below }
  })
}
