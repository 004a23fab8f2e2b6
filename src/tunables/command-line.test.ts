import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { silentLog } from '../base/log.ts'
import { nodeFiles } from '../base/node/index.ts'
import { UsageError } from '../base/usage.ts'
import { type Program, parseCommandLine, readSettings, settingsText, usageOf } from './command-line.ts'
import { expandPath } from './machine.ts'
import { brokerProgram, namesrvProgram } from './programs.ts'
import { readProperties } from './properties.ts'
import { settingsTable } from './settings-table.ts'

const machine = {
  hostName: 'box',
  address: '10.0.0.7',
  namesrvAddr: 'env:1',
  path: (text: string) => expandPath(text, '/home/mq'),
  log: silentLog,
}

function settingsFrom(...args: string[]) {
  return readSettings(brokerProgram, parseCommandLine(brokerProgram, args), nodeFiles, machine)
}

test('flags win over the file, the file over the environment and defaults', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tunables-'))
  const file = join(directory, 'broker.conf')
  writeFileSync(file, 'listenPort=1\nbrokerName=file\nnamesrvAddr=file:1\n')
  try {
    expect(settingsFrom()).toMatchObject({ listenPort: 10911, namesrvAddr: 'env:1' })
    expect(settingsFrom('-c', file)).toMatchObject({ listenPort: 1, brokerName: 'file', namesrvAddr: 'file:1' })
    expect(
      settingsFrom('-c', file, '-n', 'flag:1;flag:2', '--set', 'listenPort=2', '--set', 'messageDelayLevel=1s 2s'),
    ).toMatchObject({ listenPort: 2, brokerName: 'file', namesrvAddr: 'flag:1;flag:2', messageDelayLevel: '1s 2s' })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('tls.config.file wins over all, but for what Apache reads elsewhere', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tunables-'))
  const file = join(directory, 'tls.properties')
  writeFileSync(
    file,
    'tls.server.certPath=/file.crt\ntls.client.trustCertPath=/ca.crt\ntls.server.mode=disabled\nlistenPort=1\n',
  )
  const warned: unknown[] = []
  const log = { ...silentLog, warn: ({ setting }: { setting?: unknown }) => void warned.push(setting) }
  const given = ['--set', `tls.config.file=${file}`, '--set', 'tls.server.certPath=/flag.crt']
  const read = <S>(program: Program<S>, args: string[]) =>
    readSettings(program, parseCommandLine(program, args), nodeFiles, { ...machine, log })
  try {
    expect(read(brokerProgram, [...given, '--set', 'tls.server.mode=enforcing'])).toMatchObject({
      'tls.server.certPath': '/file.crt',
      'tls.client.trustCertPath': '/ca.crt',
      'tls.server.mode': 'enforcing',
      'tls.enable': true, // who insists on TLS speaks it
      listenPort: 10911,
    })
    expect(read(brokerProgram, given)).toMatchObject({ 'tls.enable': false })
    warned.length = 0
    expect(read(namesrvProgram, given)).toMatchObject({ 'tls.server.certPath': '/file.crt' })
    expect(warned).toEqual(['tls.server.mode', 'listenPort'])
  } finally {
    rmSync(directory, { recursive: true })
  }
  expect(() => read(brokerProgram, given)).toThrow(`key=tls.config.file, value=${file}`)
})

test('a missing file is an error, not an empty file', () => {
  expect(() => settingsFrom('-c', '/no/such/file')).toThrow('/no/such/file')
})

test.each([
  [['--namesrvAdr', 'a:1'], 'unknown flag --namesrvAdr; did you mean --namesrvAddr?'],
  [['-x'], 'unknown flag -x'],
  [['--set', 'listenPort'], 'key=value is wanted'],
  [['-c'], 'argument missing'],
  [['broker.conf'], 'broker.conf'],
])('%j is explained', (args, explanation) => {
  expect(() => parseCommandLine(brokerProgram, args)).toThrow(UsageError)
  expect(() => parseCommandLine(brokerProgram, args)).toThrow(explanation)
})

test('a NameServer registers nowhere: it has no -n', () => {
  expect(() => parseCommandLine(namesrvProgram, ['-n', 'a:1'])).toThrow(UsageError)
  expect(usageOf(namesrvProgram)).not.toContain('-n, ')
  expect(usageOf(brokerProgram)).toContain('-n, --namesrvAddr')
})

test('printed settings can be given back as a file', () => {
  const settings = settingsFrom('--set', 'brokerName=b')
  const printed = readProperties(settingsText(brokerProgram.schema, settings), 'printed')
  expect(brokerProgram.settingsOf(printed, machine)).toEqual(settings)
})

test('-m prints less than -p', () => {
  const important = settingsText(brokerProgram.schema, settingsFrom(), 'important')
  expect(important).toContain('storePathRootDir=/home/mq/store\n')
  expect(important).not.toContain('syncFlushTimeout')
})

test('every setting has a meaning and a line in the table', () => {
  for (const { schema } of [brokerProgram, namesrvProgram]) {
    const rows = settingsTable(schema).trimEnd().split('\n').slice(2)
    expect(rows).toHaveLength(Object.keys(schema.shape).length)
    for (const row of rows) expect(row).toMatch(/^\| `[\w.]+` \| [^|]+ \| [^|]* \| [^|]+ \| [A-Z0-9][^|]+ \|/)
  }
  expect(settingsTable(brokerProgram.schema)).toContain(
    '| `syncFlushTimeout` | `5000` | ms | a whole number from 1 to 86400000 |',
  )
})
