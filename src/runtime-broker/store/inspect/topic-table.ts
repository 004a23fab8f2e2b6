import { isOperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import { readTopicConfigTable } from '../../../remoting/body/topic-config.ts'
import { readJson } from '../../../remoting/json.ts'
import type { Findings } from './findings.ts'

/**
 * Reads which topics the broker has, from its table or the backup beside it, as the broker does.
 * @returns whether it has a topic: all, where there is no table or it cannot be believed
 */
export function readTopics(files: Files, rootDir: string, findings: Findings): (topic: string) => boolean {
  const path = `${rootDir}/config/topics.json`
  for (const table of [path, `${path}.bak`]) {
    if (!files.exists(table)) continue
    const topics = topicsIn(files.readText(table))
    if (topics !== undefined) return (topic) => topics.has(topic)
    findings.add({ kind: 'table', path: table, what: 'is no table of topics, or one without any' })
  }
  return () => true
}

/** undefined: that is none. A broker's table has topics from its first start on: those of the system. */
function topicsIn(text: string): ReadonlySet<string> | undefined {
  try {
    const topics = new Set(readTopicConfigTable(readJson(text)).topicConfigTable.keys())
    return topics.size === 0 ? undefined : topics
  } catch (error) {
    if (!isOperatingError(error, 'BODY_INVALID')) throw error
    return undefined
  }
}
