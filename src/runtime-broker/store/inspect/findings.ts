/** One thing that is not as it must be. */
export interface Finding {
  /**
   * layout: the broker refuses to start. record: the log is damaged at phyOffset. queue, index: they disagree with the
   * log, from which they can be made again. message: what the log says of a queue cannot be. checkpoint: it says what cannot be.
   */
  kind: 'layout' | 'record' | 'queue' | 'message' | 'index' | 'checkpoint'
  path: string
  /** Where in the log, when it is about one place. */
  phyOffset?: number
  what: string
}

/** Findings are kept up to here, the others only counted: a directory that is all wrong must not fill the memory. */
const keptMax = 200

export class Findings {
  readonly kept: Finding[] = []
  count = 0
  hasDamage = false

  add(finding: Finding): void {
    this.count++
    if (finding.kind === 'record') this.hasDamage = true
    if (this.kept.length < keptMax) this.kept.push(finding)
  }
}
