/**
 * Asks Apache's own classes for every header that src/remoting has a codec of (headers.ts): its fields, and the frames that
 * it becomes in both serialisations; and for the bodies that java/Bodies.java makes.
 *
 *     node test/contract/record-headers.ts CLASSPATH
 *
 * CLASSPATH holds rocketmq-remoting 5.5.0 and what it needs, as `mvn dependency:build-classpath` prints it for
 * test/conformance/java/pom.xml. Java 17.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheHeaders, bodyVectorsPath, headerVectorsPath } from './headers.ts'

const [classPath] = process.argv.slice(2)
if (classPath === undefined) throw new Error('usage: record-headers.ts CLASSPATH')

const classes = [...new Set(Object.values(apacheHeaders).flat())].sort()
record('Headers', classes, headerVectorsPath)
record('Bodies', [], bodyVectorsPath)

/** Keeps the JSON lines that a program prints. */
function record(program: string, args: string[], path: string): void {
  const source = join(import.meta.dirname, `java/${program}.java`)
  const lines = execFileSync('java', ['-cp', classPath!, source, ...args], { encoding: 'utf8', timeout: 120_000 })
  writeFileSync(path, `[\n${lines.trim().split('\n').join(',\n')}\n]\n`)
}
