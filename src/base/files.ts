/**
 * One open file. Positions are bytes from its start. Every method throws OperatingError FILE_FAILED (disk full, EIO,
 * permission), with the path, the operation and the system's code (`ENOSPC`, `EIO`…) as facts.
 */
export interface OpenFile {
  readonly path: string
  /** Writes all of bytes; returns after the operating system has them (they survive a crash of this process only). */
  write(bytes: Uint8Array, position: number): void
  /** Reads up to into.length bytes; returns how many there were: fewer only at the file's end. */
  read(into: Uint8Array, position: number): number
  /** As read, without holding up the event loop: for bytes that may have to come from the disk itself. */
  readLater(into: Uint8Array, position: number): Promise<number>
  /** Resolves when all bytes that were written before the call survive a power cut. */
  sync(): Promise<void>
  syncNow(): void
  sizeBytes(): number
  /** Cuts or zero-extends (sparse) the file. */
  truncate(sizeBytes: number): void
  close(): void
}

export interface FileInfo {
  name: string
  isDirectory: boolean
  sizeBytes: number
  modifiedAt: number // ms since 1970
}

/** Of a volume, as df counts: without what only the superuser may use. */
export interface DiskSpace {
  totalBytes: number // used or free
  freeBytes: number
}

export type OpenMode = 'reading' | 'existing' | 'create' | 'either'

/** The one door to the disk. Paths are absolute. Errors as in OpenFile; a missing file says code ENOENT. */
export interface Files {
  /**
   * Opens for reading and writing; 'create' makes the file (and fails where it exists), 'either' makes it if missing.
   * 'reading' opens one that is there to read only: it needs no right to write, and writing to it fails.
   */
  open(path: string, mode: OpenMode): OpenFile
  exists(path: string): boolean
  /** The directory's entries sorted by name; [] where the directory is missing. */
  list(directory: string): FileInfo[]
  makeDirectory(directory: string): void // with its parents
  readText(path: string): string
  /** Replaces the file whole and durably (temporary file, sync, rename, sync of the directory): old or new, never half. @param text bytes are UTF-8 */
  writeText(path: string, text: string | Uint8Array): void
  rename(from: string, to: string): void
  /** Removes a file, or a directory with all in it; harmless where there is none. */
  remove(path: string): void
  /** Removes a file without holding up the event loop: a large one takes a while. Harmless where there is none. */
  removeLater(path: string): Promise<void>
  /** Makes creations, renames and removals in this directory survive a power cut. */
  syncDirectory(directory: string): void
  /**
   * Takes an exclusive lock that ends with the process, whichever way that ends; it holds between containers of one
   * machine too.
   * @param path a file for this lock alone: made if missing, empty
   * @returns undefined when somebody else holds it
   */
  lock(path: string): { release(): void } | undefined
  diskSpace(path: string): DiskSpace
}
