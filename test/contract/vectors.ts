import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One frame that a real peer sent. */
export interface Vector {
  at: string // the server's role: namesrv or broker
  from: 'client' | 'server'
  code: number // of the request, also where the frame is its response
  answer?: number // the response's code; absent: the frame is a request
  oneway?: boolean
  frame: string // hex
}

const folder = join(import.meta.dirname, 'vectors')

/** All recorded frames, with the file they come from (who spoke). */
export function readVectors(): (Vector & { file: string })[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl'))
    .flatMap((file) =>
      readFileSync(join(folder, file), 'utf8')
        .trim()
        .split('\n')
        .map((line) => ({ file, ...(JSON.parse(line) as Vector) })),
    )
}
