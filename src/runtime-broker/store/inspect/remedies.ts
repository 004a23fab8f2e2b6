import type { Finding } from './findings.ts'
import type { VerifyReport } from './verify.ts'

type Facts = Pick<VerifyReport, 'findings' | 'nextStart' | 'queuesBeyondLog' | 'unreadable'>

/** What would become of a finding, and what to do about it. No advice takes a message that is there now. */
export function remedyOf(finding: Finding, facts: Facts): string {
  const { kind, phyOffset = 0 } = finding
  const { nextStart: start, findings, unreadable } = facts
  switch (kind) {
    case 'layout':
      return `the broker does not start: ${finding.mend}`
    case 'table':
      return "the broker starts without these topics, or not at all: put the table right, from a copy or a slave's config/"
    case 'unread':
      return 'not foreseen'
    case 'stray':
      return 'stays: no start looks at it'
  }
  if (start.refusal !== undefined) return 'not before it starts'
  const isCut = phyOffset >= start.endOffset
  switch (kind) {
    case 'record':
      return isCut
        ? `the log is cut at phyOffset ${start.endOffset}; of what lies behind torn/ keeps 64 MiB, and whole segments`
        : 'stays: the start does not read here; consumers get it damaged or not at all. Keep consumequeue/: queues that are made again from the log would end here, and the log too'
    case 'field':
      if (isCut) return `goes with the end of the log, at phyOffset ${start.endOffset}`
      return start.rebuildsQueues
        ? 'all queues are made again from the log, and some lack messages then because of it. Copy the directory first'
        : 'stays: consumers get what the units name. Keep consumequeue/: queues that are made again from the log would lack messages because of it'
    case 'time':
      return 'stays: the message is delivered; searches by time miss it'
    case 'queue':
    case 'short':
      if (start.rebuildsQueues) {
        const lacking = findings.isLogDamaged ? ', and lack what it does not say. Copy the directory first' : ''
        return `all queues are made again from the log${lacking}`
      }
      if (kind === 'short' && unreadable.messages === 0) return 'adds them'
      return isCut && phyOffset > 0 ? 'goes with the end of the log' : removal('consumequeue', facts)
    case 'message':
      return 'what the log lacks a slave or a copy of the directory may have; no start makes it again'
    case 'index':
      return start.indexFilesRemoved > 0 ? 'index files are made again from the log' : removal('index', facts)
    case 'checkpoint':
      return 'it is not believed where it contradicts the log: more of that is read'
  }
}

/** What the log makes again may be removed: if it says all of it. */
function removal(directory: 'consumequeue' | 'index', { findings, queuesBeyondLog }: Facts): string {
  if (findings.isLogDamaged) {
    return `stays: do not remove ${directory}/, the log that it would be made from does not say all of it`
  }
  if (directory === 'consumequeue' && queuesBeyondLog > 0) {
    return `stays: do not remove consumequeue/: ${queuesBeyondLog} queues there have nothing in the log, and would count from 0 again`
  }
  return `stays: stop the broker and remove ${directory}/, and the next start makes it again from the log`
}
