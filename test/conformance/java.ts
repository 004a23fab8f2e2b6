import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { apachePeer, projectDir } from '../peers/cluster.ts'

const run = promisify(execFile)
const mavenTimeoutMs = 10 * 60_000
const outputBytesMax = 64 << 20
export const cacheDir = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rocketmq-operator')
const sourceDir = join(projectDir, 'test/conformance/java')

/** A line of Apache's Java client: the same cases, and those of its own folder. */
interface JavaClient {
  version: string
  /** Folder below src with what only this line has. */
  folder: string
  /** Packages that lie elsewhere than in 5.x, longest first: what imports begin with, and what they begin with here. */
  packages: readonly (readonly [string, string])[]
}
const protocol = 'org.apache.rocketmq.remoting.protocol'
export const javaClients = {
  '5.5.0': { version: '5.5.0', folder: 'v5', packages: [] },
  '4.9.8': {
    version: '4.9.8',
    folder: 'v4',
    packages: [
      [`${protocol}.subscription.`, 'org.apache.rocketmq.common.subscription.'],
      [`${protocol}.admin.`, 'org.apache.rocketmq.common.admin.'],
      ...['body.', 'header.', 'heartbeat.', 'route.', 'topic.', 'RequestCode', 'ResponseCode'].map(
        (name) => [`${protocol}.${name}`, `org.apache.rocketmq.common.protocol.${name}`] as const,
      ),
    ],
  },
} as const satisfies Record<string, JavaClient>

/** The compiled cases with Apache's client and admin libraries. */
export interface JavaProject {
  /** Runs one main class; stdout and exit code as they come, failure or not. @throws when it does not end in time */
  java(
    mainClass: string,
    args: string[],
    options: { timeoutMs: number; properties?: string[]; env?: NodeJS.ProcessEnv; cwd?: string },
  ): Promise<{ stdout: string; stderr: string; code: number }>
  /** Starts one main class that goes on until its stdin ends. */
  start(mainClass: string, args: string[]): ChildProcessWithoutNullStreams
}

/**
 * Resolves Apache's libraries with Maven and compiles the cases against one line of the client; once for each state of the
 * sources, kept in a cache folder.
 */
export async function prepareJava(
  say: (text: string) => void,
  client: JavaClient = javaClients['5.5.0'],
): Promise<JavaProject> {
  for (const tool of ['java', 'javac', 'mvn']) {
    await run(tool, ['-version'], { timeout: 60_000 }).catch((error) => {
      throw new Error(`${tool} is needed (Java 17 and Maven): ${error.message}`)
    })
  }
  const setup = join(apachePeer.folder, 'setup')
  if (!existsSync(setup)) throw new Error(`Apache's side is missing: ${setup} does not exist beside this checkout`)
  say('resolving Apache RocketMQ with Maven (cached after the first time)')
  await run(setup, [], { timeout: mavenTimeoutMs }).catch(withOutput)

  const target = join(cacheDir, `conformance-${client.version}-${sourceHash()}`)
  const done = join(target, 'done')
  const classPathFile = join(target, 'classpath')
  if (!existsSync(done)) {
    say(`compiling the Java cases for ${client.version}`)
    mkdirSync(target, { recursive: true })
    const sources = join(target, 'sources')
    stageSources(client, sources)
    const goals = ['compile', 'dependency:build-classpath', `-Dmdep.outputFile=${classPathFile}`]
    const flags = [
      '-B',
      '-q',
      '-ntp',
      '-Dstyle.color=never',
      '-f',
      join(sourceDir, 'pom.xml'),
      `-Dconformance.target=${target}`,
      `-Dconformance.sources=${sources}`,
      `-Drocketmq.version=${client.version}`,
    ]
    await run('mvn', [...flags, ...goals], { timeout: mavenTimeoutMs, maxBuffer: outputBytesMax }).catch(withOutput)
    writeFileSync(done, '')
  }
  const classPath = `${join(target, 'classes')}:${readFileSync(classPathFile, 'utf8').trim()}`
  const home = join(projectDir, '.work/conformance/home')
  mkdirSync(home, { recursive: true })
  const common = ['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', `-Duser.home=${home}`, `-Drocketmq.log.root=${home}/logs`]
  const commandLine = (mainClass: string, args: string[], properties: string[] = []) => [
    ...common,
    ...properties,
    '-Djava.net.preferIPv4Stack=true',
    '-cp',
    classPath,
    mainClass,
    ...args,
  ]
  return {
    start: (mainClass, args) => spawn('java', commandLine(mainClass, args)),
    java: (mainClass, args, { timeoutMs, properties = [], env = process.env, cwd = home }) =>
      new Promise((resolve, reject) => {
        const flags = commandLine(mainClass, args, properties)
        const limits = { timeout: timeoutMs, killSignal: 'SIGKILL' as const, maxBuffer: outputBytesMax, env, cwd }
        execFile('java', flags, limits, (error, stdout, stderr) => {
          if (error?.killed) reject(new Error(`${mainClass} did not end within ${timeoutMs} ms\n${stdout}\n${stderr}`))
          else resolve({ stdout, stderr, code: typeof error?.code === 'number' ? error.code : error ? 1 : 0 })
        })
      }),
  }
}

/** Copies what all lines share and what this one has of its own, with imports as its packages are. */
function stageSources({ folder, packages }: JavaClient, sources: string): void {
  rmSync(sources, { recursive: true, force: true })
  for (const part of ['main', folder]) cpSync(join(sourceDir, 'src', part, 'java'), sources, { recursive: true })
  for (const entry of readdirSync(sources, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const text = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      packages.reduce((moved, [from, to]) => moved.replaceAll(from, to), text),
    )
  }
}

function sourceHash(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(sourceDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()) {
    hash.update(file.slice(sourceDir.length)).update(readFileSync(file))
  }
  return hash.digest('hex').slice(0, 12)
}

function withOutput(error: Error & { stdout?: string; stderr?: string }): never {
  throw new Error(`${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`)
}
