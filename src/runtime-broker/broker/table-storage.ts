import { messageOf } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import { readJson } from '../../remoting/json.ts'
import type { TableStorage } from './saved-table.ts'

/**
 * Tables as files of `<storePathRootDir>/config`, in strict JSON, which Apache's broker reads too. Apache's own files
 * (integer keys without quotes, a `.bak` beside each) are read; no `.bak` is written, as ours are replaced whole.
 */
export function tableStorage(directory: string, files: Files, log: Log): TableStorage {
  files.makeDirectory(directory)
  return {
    load(name) {
      for (const path of [`${directory}/${name}`, `${directory}/${name}.bak`]) {
        if (!files.exists(path)) continue
        try {
          const text = files.readText(path)
          if (text.trim() !== '') return readJson(text)
        } catch (error) {
          log.error({ path, err: messageOf(error) }, 'a table cannot be read: trying its backup')
        }
      }
      return undefined
    },
    save(name, json) {
      files.writeText(`${directory}/${name}`, json)
    },
  }
}
