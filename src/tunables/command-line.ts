import { parseArgs } from 'node:util'
import type { Files } from '../base/files.ts'
import { nearest } from '../base/nearest.ts'
import { UsageError } from '../base/usage.ts'
import type { Machine } from './machine.ts'
import { type Properties, readProperties, writeProperties } from './properties.ts'
import { meaningOf, type SettingsSchema, textOf } from './settings.ts'
import { addTlsFile } from './tls.ts'

/** A role that is configured by a properties file: the NameServer, the broker. */
export interface Program<S> {
  name: string
  describes: string
  schema: SettingsSchema
  /** Whether -n is a flag: the NameServers to register at. */
  takesNameServers: boolean
  settingsOf(properties: Properties, machine: Machine, configPath?: string): S
}

export interface CommandLine {
  isHelp: boolean
  /** Print settings instead of running: all of them, or the important ones. */
  prints: 'all' | 'important' | undefined
  configPath: string | undefined
  logLevel: string | undefined
  /** Settings given as flags, by key, each with the flag. */
  given: Properties
}

const flags = {
  help: { type: 'boolean', short: 'h' },
  config: { type: 'string', short: 'c' },
  namesrvAddr: { type: 'string', short: 'n' },
  set: { type: 'string', multiple: true },
  printConfigItem: { type: 'boolean', short: 'p' },
  printImportantConfig: { type: 'boolean', short: 'm' },
  'log-level': { type: 'string' },
} as const

/**
 * Reads a role's arguments: Apache's -c FILE, -n ADDRESSES, -p, -m and -h, and --set key=value, any number of times.
 * @throws UsageError for an unknown flag, naming the nearest one, and for a flag without its value
 */
export function parseCommandLine(program: Pick<Program<unknown>, 'takesNameServers'>, args: string[]): CommandLine {
  const { namesrvAddr, ...others } = flags
  const options = program.takesNameServers ? flags : others
  let values: ReturnType<typeof parseArgs<{ options: typeof flags }>>['values']
  try {
    values = parseArgs({ args, options: options as typeof flags, strict: true }).values
  } catch (error) {
    throw new UsageError(explain(error as Error & { code?: string }, Object.keys(options)))
  }
  const given: Properties = new Map()
  if (values.namesrvAddr !== undefined) given.set('namesrvAddr', { value: values.namesrvAddr, from: '-n' })
  for (const entry of values.set ?? []) {
    const [key, ...value] = entry.split('=')
    if (!key || value.length === 0) throw new UsageError(`--set ${entry}: key=value is wanted`)
    given.set(key.trim(), { value: value.join('='), from: '--set' })
  }
  return {
    isHelp: values.help ?? false,
    prints: values.printConfigItem ? 'all' : values.printImportantConfig ? 'important' : undefined,
    configPath: values.config,
    logLevel: values['log-level'],
    given,
  }
}

function explain(error: Error & { code?: string }, names: string[]): string {
  const unknown = /^Unknown option '(-+[^']+)'/.exec(error.message)?.[1]
  if (unknown === undefined) return error.message
  const name = nearest(unknown.replace(/^-+/, ''), names)
  return `unknown flag ${unknown}${name ? `; did you mean --${name}?` : ''}`
}

/**
 * The settings that a command line means: flags win over the file, the file over defaults; tls.config.file over all.
 * @throws OperatingError SETTING_INVALID, FILE_FAILED (the file of -c, or of tls.config.file)
 */
export function readSettings<S>(program: Program<S>, line: CommandLine, files: Files, machine: Machine): S {
  const configPath = line.configPath === undefined ? undefined : machine.path(line.configPath)
  const properties: Properties =
    configPath === undefined ? new Map() : readProperties(files.readText(configPath), line.configPath!)
  for (const [key, property] of line.given) properties.set(key, property)
  addTlsFile(properties, program.schema, files, machine)
  return program.settingsOf(properties, machine, configPath)
}

/** Settings as properties text, sorted by key, secrets empty: what -p and -m print, and GET_BROKER_CONFIG answers. */
export function settingsText(schema: SettingsSchema, settings: object, only: 'all' | 'important' = 'all'): string {
  const keys = Object.keys(schema.shape).filter((key) => only === 'all' || meaningOf(schema.shape[key]!).important)
  return writeProperties(
    keys
      .sort()
      .map((key) => [
        key,
        meaningOf(schema.shape[key]!).secret ? '' : textOf((settings as Record<string, unknown>)[key]),
      ]),
  )
}

export function usageOf(program: Program<unknown>): string {
  const { name, describes, takesNameServers } = program
  return `${describes}

Usage: node src/main.js ${name} [flags]

  -c, --config FILE              settings: a properties file with Apache RocketMQ's keys
${takesNameServers ? '  -n, --namesrvAddr ADDRESSES    NameServers to register at: host:port, separated by ;\n' : ''}\
      --set KEY=VALUE            one setting; wins over the file; may be repeated
  -p, --printConfigItem          print all settings and end
  -m, --printImportantConfig     print the important settings and end
      --log-level LEVEL          fatal, error, warn, info (default), debug or trace; log lines go to standard error
  -h, --help                     print this and end

The settings are described in docs/configuration.md.
`
}
