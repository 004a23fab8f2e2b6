import { type BrokerSettings, brokerSchema, brokerSettingsOf } from './broker.ts'
import type { Program } from './command-line.ts'
import { type NamesrvSettings, namesrvSchema, namesrvSettingsOf } from './namesrv.ts'

export const namesrvProgram: Program<NamesrvSettings> = {
  name: 'namesrv',
  describes: 'NameServer: tells clients which broker serves which queue.',
  schema: namesrvSchema,
  takesNameServers: false,
  settingsOf: namesrvSettingsOf,
}

export const brokerProgram: Program<BrokerSettings> = {
  name: 'broker',
  describes: 'Broker: takes, keeps and delivers messages.',
  schema: brokerSchema,
  takesNameServers: true,
  settingsOf: brokerSettingsOf,
}
