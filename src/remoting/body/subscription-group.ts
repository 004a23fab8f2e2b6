import { writeJson } from '../json.ts'
import { type DataVersion, readDataVersion } from './data-version.ts'
import { Fields, textItem } from './fields.ts'

/** A consumer group as a broker keeps it. Source: Apache RocketMQ 5, SubscriptionGroupConfig. */
export interface SubscriptionGroupConfig {
  groupName: string
  consumeEnable: boolean
  consumeFromMinEnable: boolean
  consumeBroadcastEnable: boolean
  consumeMessageOrderly: boolean
  retryQueueNums: number
  retryMaxTimes: number
  groupRetryPolicy: GroupRetryPolicy
  brokerId: number
  whichBrokerWhenConsumeSlowly: number
  notifyConsumerIdsChangedEnable: boolean
  groupSysFlag: number
  consumeTimeoutMinute: number
  attributes: Record<string, string>
}

/** When gRPC clients see a message again. */
export interface GroupRetryPolicy {
  type: 'EXPONENTIAL' | 'CUSTOMIZED'
  exponentialRetryPolicy?: { initial: number; max: number; multiplier: number } | undefined // ms, ms, factor
  customizedRetryPolicy?: { next: number[] } | undefined // ms
}

export function subscriptionGroupConfig(
  groupName: string,
  given: Partial<Omit<SubscriptionGroupConfig, 'groupName'>> = {},
): SubscriptionGroupConfig {
  return {
    groupName,
    consumeEnable: true,
    consumeFromMinEnable: true,
    consumeBroadcastEnable: true,
    consumeMessageOrderly: false,
    retryQueueNums: 1,
    retryMaxTimes: 16,
    groupRetryPolicy: { type: 'CUSTOMIZED' },
    brokerId: 0,
    whichBrokerWhenConsumeSlowly: 1,
    notifyConsumerIdsChangedEnable: true,
    groupSysFlag: 0,
    consumeTimeoutMinute: 15,
    attributes: {},
    ...given,
  }
}

/** @param value parsed JSON; absent fields have Apache's defaults */
export function readSubscriptionGroupConfig(value: unknown, name?: string): SubscriptionGroupConfig {
  const fields = new Fields('SubscriptionGroupConfig', value)
  const without = subscriptionGroupConfig(fields.text('groupName', name))
  return {
    groupName: without.groupName,
    consumeEnable: fields.bool('consumeEnable', without.consumeEnable),
    consumeFromMinEnable: fields.bool('consumeFromMinEnable', without.consumeFromMinEnable),
    consumeBroadcastEnable: fields.bool('consumeBroadcastEnable', without.consumeBroadcastEnable),
    consumeMessageOrderly: fields.bool('consumeMessageOrderly', without.consumeMessageOrderly),
    retryQueueNums: fields.integer('retryQueueNums', without.retryQueueNums),
    retryMaxTimes: fields.integer('retryMaxTimes', without.retryMaxTimes),
    groupRetryPolicy: readRetryPolicy(fields.fields('groupRetryPolicy')),
    brokerId: fields.integer('brokerId', without.brokerId),
    whichBrokerWhenConsumeSlowly: fields.integer('whichBrokerWhenConsumeSlowly', without.whichBrokerWhenConsumeSlowly),
    notifyConsumerIdsChangedEnable: fields.bool(
      'notifyConsumerIdsChangedEnable',
      without.notifyConsumerIdsChangedEnable,
    ),
    groupSysFlag: fields.integer('groupSysFlag', without.groupSysFlag),
    consumeTimeoutMinute: fields.integer('consumeTimeoutMinute', without.consumeTimeoutMinute),
    attributes: Object.fromEntries(fields.table('attributes', textItem('SubscriptionGroupConfig.attributes'))),
  }
}

/** Body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST. Source: Apache RocketMQ 5, SubscriptionGroupList. */
export function readSubscriptionGroupList(body: Buffer): SubscriptionGroupConfig[] {
  return Fields.of('SubscriptionGroupList', body).list('groupConfigList', (value) => readSubscriptionGroupConfig(value))
}

function readRetryPolicy(fields: Fields): GroupRetryPolicy {
  const exponential = fields.has('exponentialRetryPolicy') ? fields.fields('exponentialRetryPolicy') : undefined
  const customized = fields.has('customizedRetryPolicy') ? fields.fields('customizedRetryPolicy') : undefined
  return {
    type: fields.oneOf('type', ['EXPONENTIAL', 'CUSTOMIZED'], 'CUSTOMIZED'),
    exponentialRetryPolicy: exponential && {
      initial: exponential.integer('initial', 5_000),
      max: exponential.integer('max', 7_200_000),
      multiplier: exponential.number('multiplier', 2),
    },
    customizedRetryPolicy: customized && { next: customized.integers('next') },
  }
}

/** Body of GET_ALL_SUBSCRIPTIONGROUP_CONFIG. */
export interface SubscriptionGroupTable {
  dataVersion: DataVersion
  subscriptionGroupTable: ReadonlyMap<string, SubscriptionGroupConfig>
}

export function readSubscriptionGroupTable(value: unknown): SubscriptionGroupTable {
  const fields = new Fields('SubscriptionGroupWrapper', value)
  return {
    dataVersion: readDataVersion(fields.fields('dataVersion').value),
    subscriptionGroupTable: fields.table('subscriptionGroupTable', readSubscriptionGroupConfig),
  }
}

export function writeSubscriptionGroupTable(table: SubscriptionGroupTable): string {
  return writeJson({ ...table, forbiddenTable: {} })
}
