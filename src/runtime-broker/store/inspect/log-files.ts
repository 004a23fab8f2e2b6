import type { Files, OpenFile } from '../../../base/files.ts'
import { offsetName } from '../segments.ts'
import type { Findings } from './findings.ts'

interface SegmentFile {
  start: number
  path: string
  sizeBytes: number
}

/**
 * The files of a commit log as they are, for reading: also of a log that no broker would start with. What such a one would
 * refuse becomes a finding.
 */
export class LogFiles {
  readonly segments: readonly SegmentFile[] // ascending
  readonly segmentBytes: number
  readonly #files: Files
  #open: { start: number; file: OpenFile } | undefined // reading goes through the log once, one file after the other

  /** @param segmentBytes undefined: as the files are */
  constructor(files: Files, directory: string, segmentBytes: number | undefined, findings: Findings) {
    this.#files = files
    const infos = files.list(directory).filter(({ isDirectory }) => !isDirectory)
    const isLastEmpty = infos.at(-1)?.sizeBytes === 0
    if (isLastEmpty) infos.pop() // a crash between making and sizing it: every start removes such a file
    const named = infos.filter(({ name }) => /^\d{20}$/.test(name))
    this.segmentBytes = segmentBytes ?? usualLength(named.map(({ sizeBytes }) => sizeBytes))
    const segments: SegmentFile[] = []
    for (const { name, sizeBytes } of infos) {
      const path = `${directory}/${name}`
      const refuse = (what: string) => findings.add({ kind: 'layout', path, what })
      const start = Number(name)
      if (!/^\d{20}$/.test(name) || start % this.segmentBytes !== 0) {
        refuse(`its name is not that of a segment: 20 digits, a multiple of ${this.segmentBytes}`)
        continue
      }
      if (sizeBytes !== this.segmentBytes) refuse(`is ${sizeBytes} bytes long, not ${this.segmentBytes}`)
      const before = segments.at(-1)
      if (before !== undefined && start !== before.start + this.segmentBytes) {
        refuse(`the segment before it is missing: ${offsetName(start - this.segmentBytes)}`)
      }
      segments.push({ start, path, sizeBytes })
    }
    this.segments = segments
  }

  get minOffset(): number {
    return this.segments[0]?.start ?? 0
  }

  /** One past the last byte there is room for. */
  get endOffset(): number {
    const last = this.segments.at(-1)
    return last === undefined ? 0 : last.start + this.segmentBytes
  }

  /** Of the segment that holds phyOffset, which must be there. */
  pathOf(phyOffset: number): string {
    return this.segments.find(({ start }) => start <= phyOffset && phyOffset < start + this.segmentBytes)!.path
  }

  /** Fills into with bytes of one segment, from phyOffset on. @returns how many there were */
  async read(into: Buffer, { start, path }: SegmentFile, phyOffset: number): Promise<number> {
    if (this.#open?.start !== start) {
      this.close()
      this.#open = { start, file: this.#files.open(path, 'reading') }
    }
    return await this.#open!.file.readLater(into, phyOffset - start)
  }

  close(): void {
    this.#open?.file.close()
    this.#open = undefined
  }
}

/** The length that most have; of two that are equally frequent the larger one, since files are cut rather than grow. */
export function usualLength(lengths: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const length of lengths) if (length > 0) counts.set(length, (counts.get(length) ?? 0) + 1)
  let usual = 0
  for (const [length, count] of counts) {
    const best = counts.get(usual) ?? 0
    if (count > best || (count === best && length > usual)) usual = length
  }
  return usual || 1024 * 1024 * 1024
}
