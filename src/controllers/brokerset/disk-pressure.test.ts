import { expect, test } from '@jest/globals'
import type { BrokerSetStatus, DiskPressure } from '../../crds/index.ts'
import { group, look } from '../testing/broker-set.ts'
import { brokerSet } from '../testing/resources.ts'

/** What is said of two groups, the second one with a slave, whose volumes are so full; undefined: it does not say. */
function say(percents: (number | undefined)[], spec: object = {}, before?: BrokerSetStatus) {
  const desired = brokerSet({ groups: 2, slavesPerGroup: 1, ...spec }, before)
  const [first, second, slave] = percents.map((percent) => ({
    diskUsedRatio: percent === undefined ? undefined : percent / 100,
  }))
  const groups = [
    group(0, desired, { ...first, slaves: [{}] }),
    group(1, desired, { ...second, slaves: [slave ?? {}] }),
  ]
  const { status, verdicts, notes } = look(desired, groups)
  const members = (status.groupStatuses ?? []).flatMap((one) => one.members ?? [])
  return {
    status,
    condition: verdicts.find(({ type }) => type === 'DiskPressure'),
    disks: ['b-0-0', 'b-1-0', 'b-1-1'].map((name) => members.find(({ pod }) => pod === name)?.disk),
    told: notes.filter(({ reason }) => reason === 'DiskPressure').map(({ message }) => message),
  }
}

const remedy = 'To mend it raise spec.storage.size, or shorten fileReservedTime (72 h) in spec.config'

test('volumes that are as full as retention makes them are no trouble, nor are those of brokers that say nothing', () => {
  expect(say([80, 75, 0])).toMatchObject({
    condition: { status: 'False', reason: 'NoPressure' },
    disks: [undefined, undefined, undefined],
    told: [],
  })
  expect(say([undefined, undefined])).toMatchObject({ condition: { status: 'False' }, told: [] })
})

test('a volume that is too full is told with what the broker does about it, and what helps', () => {
  const { condition, told, disks } = say([82, 91, 91])

  expect(disks).toEqual(['AboveRetention', 'SendsRefused', 'OldestRemoved']) // a slave takes no messages anyway
  expect(condition).toMatchObject({
    status: 'True',
    reason: 'SendsRefused',
    message:
      'b-1-0: the volume is more than 90 % full, no messages are taken; ' +
      'b-1-1: the volume is more than 85 % full, the oldest messages are removed before their 72 h are over; ' +
      'b-0-0: the volume is more than 80 % full, expired messages are removed at any hour from 75 % on, and that is not enough. ' +
      remedy,
  })
  expect(told).toEqual([condition?.message])
})

test('without a volume of its own it is the disk of the node that is full', () => {
  expect(say([91], { storage: { ephemeral: true } }).condition?.message).toContain("make room on their nodes' disks")
})

test.each<[string, Record<string, string>, number, DiskPressure | undefined]>([
  ['diskMaxUsedSpaceRatio', { diskMaxUsedSpaceRatio: '40' }, 46, 'AboveRetention'],
  ['diskSpaceCleanForciblyRatio', { diskSpaceCleanForciblyRatio: '60' }, 61, 'OldestRemoved'],
  ['a forcible ratio that is taken as 85', { diskSpaceCleanForciblyRatio: '99' }, 86, 'OldestRemoved'],
  ['cleanFileForciblyEnable', { cleanFileForciblyEnable: 'false' }, 89, 'AboveRetention'],
  ['diskSpaceWarningLevelRatio', { diskSpaceWarningLevelRatio: ' 50 ' }, 51, 'SendsRefused'],
  ['a high diskSpaceWarningLevelRatio', { diskSpaceWarningLevelRatio: '95' }, 94, 'OldestRemoved'],
  ['nothing', {}, 79, undefined],
])('the limits are those of spec.config: %s', (_, config, percent, disk) => {
  expect(say([percent], { config }).disks[0]).toBe(disk)
})

test('it is said until the volume is emptier by some percent, and told again only when it gets worse', () => {
  const full = say([91]).status

  expect(say([88], {}, full)).toMatchObject({ disks: ['SendsRefused', undefined, undefined], told: [] })
  expect(say([undefined], {}, full)).toMatchObject({ condition: { reason: 'SendsRefused' }, told: [] })
  const better = say([86], {}, full)
  expect(better).toMatchObject({ disks: ['OldestRemoved', undefined, undefined], told: [] })
  expect(say([78], {}, better.status).disks[0]).toBe('AboveRetention')
  expect(say([77], {}, better.status)).toMatchObject({
    condition: { status: 'False' },
    disks: [undefined, undefined, undefined],
  })

  expect(say([91, 81], {}, full).told).toEqual([
    `b-1-0: the volume is more than 80 % full, expired messages are removed at any hour from 75 % on, and that is not enough. ${remedy}`,
  ])
})
