/**
 * Asks Apache's own classes for every header that src/remoting has a codec of (headers.ts): its fields, and the frames that
 * it becomes in both serialisations.
 *
 *     node test/contract/record-headers.ts CLASSPATH
 *
 * CLASSPATH holds rocketmq-remoting 5.5.0 and what it needs, as `mvn dependency:build-classpath` prints it for
 * test/conformance/java/pom.xml. Java 17.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheHeaders, headerVectorsPath } from './headers.ts'

const [classPath] = process.argv.slice(2)
if (classPath === undefined) throw new Error('usage: record-headers.ts CLASSPATH')

const classes = [...new Set(Object.values(apacheHeaders).flat())].sort()
const program = join(import.meta.dirname, 'java/Headers.java')
const lines = execFileSync('java', ['-cp', classPath, program, ...classes], { encoding: 'utf8', timeout: 120_000 })
writeFileSync(headerVectorsPath, `[\n${lines.trim().split('\n').join(',\n')}\n]\n`)
