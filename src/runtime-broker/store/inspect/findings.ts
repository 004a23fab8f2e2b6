/** One thing that is not as it must be. */
export type Finding = LayoutFinding | OtherFinding

/** Because of it the broker refuses to start. */
interface LayoutFinding extends FindingFacts {
  kind: 'layout'
  /** How to make the broker start. */
  mend: string
}

interface OtherFinding extends FindingFacts {
  /**
   * - stray: a name that no start looks at.
   * - record: bytes of the log at phyOffset are none. field, time: a whole record there says of its queue, or of the time
   *   when it was stored, what cannot be: no checksum covers that.
   * - queue, index: they disagree with the log, from which they can be made again; short: a queue lacks units. message: the
   *   log lacks what a queue says, or says of it what cannot be. checkpoint: it says what cannot be.
   * - table: a file of config/ is not what it must be. unread: a part that could not be looked at.
   */
  kind:
    | 'stray'
    | 'record'
    | 'field'
    | 'time'
    | 'queue'
    | 'short'
    | 'message'
    | 'index'
    | 'checkpoint'
    | 'table'
    | 'unread'
}

interface FindingFacts {
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
  /** The log cannot say again all that was made from it. */
  isLogDamaged = false

  add(finding: Finding): void {
    this.count++
    if (['record', 'field', 'time', 'message'].includes(finding.kind)) this.isLogDamaged = true
    if (this.kept.length < keptMax) this.kept.push(finding)
  }
}
