import { expect, test } from '@jest/globals'
import { isOperatingError } from '../base/errors.ts'
import { type Log, type LogFields, silentLog } from '../base/log.ts'
import { otherBrokerKeys, otherNamesrvKeys } from './apache-keys.ts'
import { brokerSchema, brokerSettingsOf, namesrvAddresses } from './broker.ts'
import type { Machine } from './machine.ts'
import { expandPath } from './machine.ts'
import { namesrvSchema, namesrvSettingsOf } from './namesrv.ts'
import { readProperties } from './properties.ts'

function machine(log: Log = silentLog): Machine {
  return {
    hostName: 'box',
    address: '10.0.0.7',
    namesrvAddr: undefined,
    path: (text) => expandPath(text, '/home/mq'),
    log,
  }
}

function broker(text: string, log?: Log) {
  return brokerSettingsOf(readProperties(text, 'broker.conf'), machine(log))
}

/** A log that keeps its warnings. */
function warnings(): { log: Log; lines: [string, LogFields][] } {
  const lines: [string, LogFields][] = []
  return { log: { ...silentLog, warn: (fields, message) => void lines.push([message, fields]) }, lines }
}

test('an empty file is a complete broker', () => {
  expect(broker('')).toMatchObject({
    brokerName: 'box',
    brokerIP1: '10.0.0.7',
    brokerIP2: '10.0.0.7',
    listenPort: 10911,
    haListenPort: 10912,
    namesrvAddr: '',
    storePathRootDir: '/home/mq/store',
    storePathCommitLog: '/home/mq/store/commitlog',
    flushDiskType: 'ASYNC_FLUSH',
    autoCreateTopicEnable: true,
  })
})

test('values are of their type, blanks around them do not count', () => {
  const settings = broker('listenPort = 12000 \nautoCreateTopicEnable=FALSE\nflushDiskType=SYNC_FLUSH\n')
  expect(settings).toMatchObject({ listenPort: 12000, haListenPort: 12001, autoCreateTopicEnable: false })
  expect(settings.flushDiskType).toBe('SYNC_FLUSH')
})

test.each([
  ['listenPort=1x', { key: 'listenPort', value: '1x', fits: 'a whole number from 0 to 65535' }],
  ['listenPort=70000', { fits: 'a whole number from 0 to 65535' }],
  ['listenPort=1.5', { value: '1.5' }],
  ['flushDiskType=SYNC', { fits: 'ASYNC_FLUSH or SYNC_FLUSH' }],
  ['longPollingEnable=yes', { fits: 'true or false' }],
  ['namesrvAddr=host-without-port', { key: 'namesrvAddr', fits: 'host:port, more of them separated by ;' }],
  ['messageDelayLevel=1s 5parsecs', { key: 'messageDelayLevel' }],
])('%s is refused, and the error says what fits', (line, facts) => {
  let thrown: unknown
  try {
    broker(`# a comment\n${line}\n`)
  } catch (error) {
    thrown = error
  }
  expect(isOperatingError(thrown, 'SETTING_INVALID')).toBe(true)
  expect(thrown).toMatchObject({ facts: { from: 'broker.conf:2', ...facts } })
})

test('an unknown key warns and names the nearest one', () => {
  const { log, lines } = warnings()
  broker('brokerClustreName=a\nflushDiskTyp=x\nzzzzzzzzzzzz=1', log)
  expect(lines).toEqual([
    [
      'unknown setting is ignored',
      { setting: 'brokerClustreName', from: 'broker.conf:1', nearest: 'brokerClusterName' },
    ],
    ['unknown setting is ignored', { setting: 'flushDiskTyp', from: 'broker.conf:2', nearest: 'flushDiskType' }],
    ['unknown setting is ignored', { setting: 'zzzzzzzzzzzz', from: 'broker.conf:3', nearest: undefined }],
  ])
})

test("a key of Apache's that we do not read warns as such", () => {
  const { log, lines } = warnings()
  broker('timerWheelEnable=true', log)
  expect(lines).toEqual([
    ['this setting has no effect in this release', { setting: 'timerWheelEnable', from: 'broker.conf:1' }],
  ])
})

test('no key is both read and without effect', () => {
  expect(Object.keys(brokerSchema.shape).filter((key) => otherBrokerKeys.has(key))).toEqual([])
  expect(Object.keys(namesrvSchema.shape).filter((key) => otherNamesrvKeys.has(key))).toEqual([])
  expect(otherBrokerKeys.size).toBeGreaterThan(400)
})

test('a consume queue file holds whole units', () => {
  expect(broker('mappedFileSizeConsumeQueue=101').mappedFileSizeConsumeQueue).toBe(120)
})

test("Apache's ways to write the home directory", () => {
  for (const home of ['$HOME/x', `\${HOME}/x`, `\${user.home}/x`, '~/x']) {
    expect(expandPath(home, '/home/mq')).toBe('/home/mq/x')
  }
  expect(expandPath('/data/~x/$HOMER', '/home/mq')).toBe('/data/~x/$HOMER')
})

test('a NameServer keeps run-time changes in the file it was started with', () => {
  const settings = namesrvSettingsOf(readProperties('', 'f'), machine(), '/etc/namesrv.conf')
  expect(settings.configStorePath).toBe('/etc/namesrv.conf')
  expect(settings.kvConfigPath).toBe('/home/mq/namesrv/kvConfig.json')
})

test('NameServer addresses are separated by semicolons', () => {
  expect(namesrvAddresses(' a:1; b:2 ;;')).toEqual(['a:1', 'b:2'])
})

test('a master has brokerId 0 whatever is set; a slave must have one of its own', () => {
  expect(broker('brokerRole=SYNC_MASTER\nbrokerId=3\n').brokerId).toBe(0)
  expect(broker('brokerRole=SLAVE\nbrokerId=3\n').brokerId).toBe(3)
  expect(() => broker('brokerRole=SLAVE\n')).toThrow(/key=brokerId/)
})
