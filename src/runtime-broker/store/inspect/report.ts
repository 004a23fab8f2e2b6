import type { Finding } from './findings.ts'
import { remedyOf } from './remedies.ts'
import type { VerifyReport } from './verify.ts'

/** The lines of a report. Paths are said from the directory on. */
export function* reportLines(report: VerifyReport, rootDir: string): Generator<string> {
  const { findings, nextStart, index, checkpoint } = report
  const n = (value: number) => value.toLocaleString('en-US')
  yield `commit log   ${report.segmentCount} segments of ${report.segmentBytes} bytes, phyOffset ${report.minOffset} to ${
    report.endOffset
  }, ${n(report.recordCount)} records`
  if (report.behindCount > 0) {
    yield `             ${n(report.behindCount)} whole records lie behind the damage that ends the log`
  }
  if (report.stoppedAt !== undefined) yield `             messages that came meanwhile are left out`
  yield `queues       ${n(report.queueCount)}; ${n(report.unitsAgreed)} units agree${
    report.unitsBehind > 0 ? `, ${n(report.unitsBehind)} are not written yet` : ''
  }${report.unqueued > 0 ? `; ${n(report.unqueued)} messages need none` : ''}`
  if (index !== undefined) {
    yield `key index    ${index.fileCount} files; ${n(index.agreed)} keys agree${
      index.behind > 0 ? `, ${n(index.behind)} are not written yet` : ''
    }`
  } else if (report.isIndexUnknown) {
    yield 'key index    not checked: its files have an unusual length; --index-slots says maxHashSlotNum'
  } else yield 'key index    none'
  yield `checkpoint   ${checkpoint.isThere ? (checkpoint.queuesSyncedTo === undefined ? "not ours, or older than Apache's last change" : `all is safe up to phyOffset ${checkpoint.queuesSyncedTo}`) : 'none'}`
  yield `last stop    ${report.isInUse ? 'none: a broker is at work here, or one died (abort is there)' : 'clean'}`
  yield ''
  if (findings.count === 0) yield 'No problem found.'
  else {
    yield `${n(findings.count)} ${findings.count === 1 ? 'problem' : 'problems'}`
    for (const finding of findings.kept) yield* findingLines(finding, report, rootDir)
    if (findings.count > findings.kept.length) yield `  and ${n(findings.count - findings.kept.length)} more`
  }
  yield ''
  if (nextStart.refusal !== undefined) yield `The next start would refuse: ${nextStart.refusal}`
  else {
    if (report.isInUse) yield 'If no broker is at work here now:'
    yield `The next start would end the log at phyOffset ${nextStart.endOffset}:`
    yield* warnings(report)
    for (const step of nextStart.steps) yield `  ${step}`
  }
}

/** What a start would take that is there now. */
function* warnings({ leavingCount, unreadable, nextStart, findings }: VerifyReport): Generator<string> {
  const n = (value: number) => value.toLocaleString('en-US')
  const lines: string[] = []
  if (leavingCount > 0) lines.push(`${n(leavingCount)} whole records would leave the log`)
  if (unreadable.messages > 0) {
    const which = `${n(unreadable.messages)} messages of ${n(unreadable.queues)} queues`
    lines.push(`${which}, which the log has, could not be read`)
  }
  if (nextStart.rebuildsQueues && findings.isLogDamaged) {
    lines.push('all queues would be made again from the log, which does not say all that they know')
  }
  if (lines.length > 0) lines.push('copy the directory first; log dump --body prints what is in the log now')
  for (const line of lines) yield `  ${line}`
}

function* findingLines(finding: Finding, report: VerifyReport, rootDir: string): Generator<string> {
  const path = finding.path.startsWith(`${rootDir}/`) ? finding.path.slice(rootDir.length + 1) : finding.path
  const at = finding.phyOffset === undefined ? '' : ` phyOffset ${finding.phyOffset}`
  yield `  ${path}${at}: ${finding.what}`
  yield `    next start: ${remedyOf(finding, report)}`
}
