export { otherBrokerKeys, otherNamesrvKeys } from './apache-keys.ts'
export { type BrokerSettings, brokerSchema, brokerSettingsOf, namesrvAddresses } from './broker.ts'
export { saveChangedSettings } from './changed-settings.ts'
export {
  type CommandLine,
  type Program,
  parseCommandLine,
  readSettings,
  settingsText,
  usageOf,
} from './command-line.ts'
export { type DiskLimits, diskLimitsOf } from './disk-limits.ts'
export { type Machine, thisMachine } from './machine.ts'
export { type NamesrvSettings, namesrvSchema, namesrvSettingsOf } from './namesrv.ts'
export { brokerProgram, namesrvProgram } from './programs.ts'
export { type Properties, type Property, readProperties, writeProperties } from './properties.ts'
export {
  type InertKeys,
  meaningOf,
  parseSetting,
  type SettingsSchema,
  settingsOf,
  textOf,
  whyIgnored,
} from './settings.ts'
export { settingsTable } from './settings-table.ts'
export type { TlsClientSettings, TlsSettings } from './tls.ts'
