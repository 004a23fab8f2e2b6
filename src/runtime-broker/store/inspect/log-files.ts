import type { FileInfo, Files, OpenFile } from '../../../base/files.ts'
import { offsetName } from '../segments.ts'
import { defaults, lengthOf } from './file-lengths.ts'
import type { Findings } from './findings.ts'

const bringBack =
  'bring it back as it was, from a slave or a copy of the directory: they have the same bytes. Move no segment away: its messages would go with it'

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
  /** The length with which a start would try. */
  readonly expectedBytes: number
  readonly #files: Files
  #open: { start: number; file: OpenFile } | undefined // reading goes through the log once, one file after the other

  /** @param segmentBytes undefined: as the files are */
  constructor(files: Files, directory: string, segmentBytes: number | undefined, findings: Findings) {
    this.#files = files
    const infos = files.list(directory).filter(({ isDirectory }) => !isDirectory)
    const isLastEmpty = infos.at(-1)?.sizeBytes === 0
    if (isLastEmpty) infos.pop() // a crash between making and sizing it: every start removes such a file
    const named = infos.filter(({ name }) => /^\d{20}$/.test(name))
    const lengths = named.map(({ sizeBytes }) => sizeBytes)
    this.expectedBytes = lengthOf(lengths, segmentBytes, defaults.segmentBytes)
    this.segmentBytes = segmentBytes === undefined ? readableBytes(named, this.expectedBytes) : segmentBytes
    const isGuess = segmentBytes === undefined && lengths.length < 2
    const hint = isGuess ? '; --segment-bytes says what mappedFileSizeCommitLog is, where it was set' : ''
    const segments: SegmentFile[] = []
    for (const { name, sizeBytes } of infos) {
      const path = `${directory}/${name}`
      const refuse = (what: string, mend = bringBack) => findings.add({ kind: 'layout', path, what, mend })
      const start = Number(name)
      const isDigits = /^\d{20}$/.test(name)
      if (!isDigits || start % this.segmentBytes !== 0) {
        const what = `its name is not that of a segment: 20 digits, a multiple of ${this.segmentBytes}`
        refuse(what, isDigits ? bringBack : 'move it away')
        continue
      }
      if (sizeBytes !== this.expectedBytes) {
        refuse(
          `is ${sizeBytes} bytes long, not ${this.expectedBytes}${hint}`,
          isGuess ? `if it was cut, ${bringBack}` : bringBack,
        )
      }
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

/** The only file of a log is read as it is, also when it is shorter than it must be. */
function readableBytes(named: readonly FileInfo[], expectedBytes: number): number {
  const [only] = named
  if (only === undefined || named.length > 1 || only.sizeBytes === 0) return expectedBytes
  return Number(only.name) % only.sizeBytes === 0 ? only.sizeBytes : expectedBytes
}
