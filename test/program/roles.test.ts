import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { encodeHost, encodeRecord } from '../../src/remoting/message/index.ts'

const deadlineMs = 15_000

interface Ran {
  code: number | null
  out: string
  err: string
}

/**
 * Runs the program; seen is told everything it has said on standard error so far.
 * @param reader a shell command that reads its output; what that one says is out then
 * @param file takes its output
 */
function run(
  args: string[],
  seen: (err: string, child: ChildProcess) => void = () => {},
  reader?: string,
  file?: string,
): Promise<Ran> {
  const program = [process.execPath, resolve(import.meta.dirname, '../../src/main.js'), ...args]
  const end = file !== undefined ? `> ${file}` : `| { ${reader}; }; exit \${PIPESTATUS[0]}`
  const [command, ...rest] =
    file === undefined && reader === undefined ? program : ['bash', '-c', `"$@" ${end}`, 'bash', ...program]
  const child = spawn(command!, rest, { timeout: deadlineMs })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
    seen(err, child)
  })
  return new Promise((done) => child.on('close', (code) => done({ code, out, err })))
}

test('help is for standard output, mistakes are for standard error', async () => {
  const [help, roleHelp, role, flag, value] = await Promise.all([
    run(['--help']),
    run(['broker', '--help']),
    run(['brokr']),
    run(['namesrv', '--lisen']),
    run(['namesrv', '--set', 'listenPort=http']),
  ])
  expect(help).toMatchObject({ code: 0, out: expect.stringContaining('namesrv'), err: '' })
  expect(roleHelp).toMatchObject({ code: 0, out: expect.stringContaining('--namesrvAddr'), err: '' })
  expect(role).toMatchObject({ code: 2, out: '', err: expect.stringContaining('did you mean broker?') })
  expect(flag).toMatchObject({ code: 2, out: '', err: expect.stringContaining('namesrv --help') })
  expect(value).toMatchObject({ code: 1, out: '', err: expect.stringContaining('from=--set, fits=a whole number') })
})

test('SIGTERM ends a role with exit code 0', async () => {
  const home = mkdtempSync(join(tmpdir(), 'role-'))
  let isTold = false
  try {
    const settings = { listenPort: '0', bindAddress: '127.0.0.1', kvConfigPath: `${home}/kvConfig.json` }
    const flags = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
    const { code, err } = await run(['namesrv', ...flags], (said, child) => {
      if (isTold || !said.includes('NameServer serves')) return
      isTold = true
      child.kill('SIGTERM')
    })
    expect(err).toContain('NameServer stopped')
    expect(code).toBe(0)
  } finally {
    rmSync(home, { recursive: true })
  }
})

/** A log of one segment with so many records. @returns its storePathRootDir */
function makeLog(home: string, count: number): string {
  const host = encodeHost({ host: '10.0.0.1', port: 10911 })
  const fields = {
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: host,
    storeHost: host,
    reconsumeTimes: 0,
  }
  const message = { ...fields, preparedTransactionOffset: 0, body: Buffer.from('body'), properties: '' }
  const bytes = Buffer.alloc(count * 200)
  let at = 0
  for (let index = 0; index < count; index++) at += encodeRecord(bytes, at, message, Buffer.from('T'), index, at, 1)
  mkdirSync(join(home, 'commitlog'))
  writeFileSync(join(home, 'commitlog/00000000000000000000'), bytes)
  return home
}

test('log dump loses no line, however slow its reader is, and ends quietly with it', async () => {
  const home = mkdtempSync(join(tmpdir(), 'dump-'))
  const count = 30_000
  try {
    makeLog(home, count)
    const sizes = ['--segment-bytes', String(count * 200)]
    const whole = await run(['log', 'dump', home, ...sizes])
    const [head, tail] = await Promise.all([shell('head -1'), shell('sleep 0.5; tail -1')])
    function shell(reader: string): Promise<Ran> {
      return run(['log', 'dump', home, ...sizes], () => {}, reader)
    }

    expect(whole).toMatchObject({ code: 0, err: '' })
    expect(whole.out.split('\n')).toHaveLength(count + 1)
    expect(head).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(head.out)).toMatchObject({ queueOffset: 0 })
    expect(tail).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(tail.out)).toMatchObject({ queueOffset: count - 1 })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

test('log says that its output cannot be written', async () => {
  const home = mkdtempSync(join(tmpdir(), 'full-'))
  try {
    makeLog(home, 10)
    const sizes = ['--segment-bytes', '2000']
    const dump = await run(['log', 'dump', home, ...sizes], () => {}, undefined, '/dev/full')
    const verify = await run(['log', 'verify', home, ...sizes], () => {}, undefined, '/dev/full')

    for (const ran of [dump, verify]) expect(ran).toMatchObject({ code: 2, err: 'cannot write the output: ENOSPC\n' })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

test('log tells a good store, a damaged one and none apart by its exit code', async () => {
  const home = mkdtempSync(join(tmpdir(), 'log-'))
  const segment = join(home, 'store/commitlog/00000000000000000000')
  mkdirSync(dirname(segment), { recursive: true })
  writeFileSync(segment, Buffer.alloc(4096))
  try {
    const none = await run(['log', 'verify', join(home, 'nothing')])
    const good = await run(['log', 'verify', join(home, 'store'), '--segment-bytes', '4096'])
    const cut = await run(['log', 'verify', join(home, 'store')])
    writeFileSync(segment, Buffer.alloc(4096, 1))
    const bad = await run(['log', 'verify', join(home, 'store')])
    const dump = await run(['log', 'dump', join(home, 'store')])
    mkdirSync(join(home, 'store/config'))
    writeFileSync(join(home, 'store/config/topics.json'), '{}')
    const noTopics = await run(['log', 'verify', join(home, 'store'), '--segment-bytes', '4096'])
    mkdirSync(join(home, 'store/checkpoint'))
    const unreadable = await run(['log', 'verify', join(home, 'store')])
    const usage = await run(['log', 'verify', home, '--topic', 'T'])
    expect(none).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--commitlog') })
    expect(good).toMatchObject({ code: 0, out: expect.stringContaining('No problem found'), err: '' })
    expect(cut).toMatchObject({ code: 1, out: expect.stringContaining('is 4096 bytes long, not 1073741824') })
    expect(bad).toMatchObject({ code: 1, out: expect.stringContaining('commitlog/00000000000000000000 phyOffset 0') })
    expect(JSON.parse(dump.out)).toMatchObject({ phyOffset: 0, damagedBytes: 4096 })
    expect(dump).toMatchObject({ code: 0, err: expect.stringContaining('is 4096 bytes long, not 1073741824') })
    expect(noTopics).toMatchObject({ code: 1, out: expect.stringContaining('config/topics.json: '), err: '' })
    expect(unreadable).toMatchObject({ code: 2, out: '', err: `cannot read ${home}/store/checkpoint: EISDIR\n` })
    expect(usage).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--topic is a flag of dump') })
    expect(readdirSync(join(home, 'store'))).toEqual(['checkpoint', 'commitlog', 'config'])
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
