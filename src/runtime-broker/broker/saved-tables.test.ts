import { expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { ManualClock } from '../../base/testing/clock.ts'
import { subscriptionGroupConfig } from '../../remoting/body/subscription-group.ts'
import { topicConfig } from '../../remoting/body/topic-config.ts'
import { readJson, writeJson } from '../../remoting/json.ts'
import { Groups } from './groups.ts'
import { Topics } from './topics.ts'

const defaults = {
  clusterName: 'shop',
  brokerName: 'shop-0',
  autoCreateTopicEnable: true,
  defaultTopicQueueNums: 8,
  clusterTopicEnable: true,
  brokerTopicEnable: true,
  traceTopicEnable: false,
  msgTraceTopicName: 'RMQ_SYS_TRACE_TOPIC',
  delayLevelMax: 18,
}

/** Both tables of a broker; read gives them as one that starts now finds them. */
function tables() {
  const files = new Map<string, string>()
  const clock = new ManualClock()
  const storage = {
    load: (name: string) => (files.has(name) && readJson(files.get(name)!)) || undefined,
    save: (name: string, json: string | Buffer) => void files.set(name, json.toString()),
  }
  const doors = { storage, clock, log: silentLog }
  const open = () => ({ topics: new Topics(defaults, doors), groups: new Groups(() => true, doors) })
  const said = ({ topics, groups }: ReturnType<typeof open>) =>
    [topics, groups].map((one) => JSON.parse(writeJson(one.toTable())))
  const { topics, groups } = open()
  const save = () => {
    topics.saveIfDirty()
    groups.saveIfDirty()
  }
  return { topics, groups, save, said: () => said({ topics, groups }), read: () => said(open()) }
}

test('what was put, changed and deleted is so in the files', () => {
  const { topics, groups, save, said, read } = tables()
  for (const name of ['orders', 'parts', 'returns']) {
    void topics.put(topicConfig(name))
    void groups.put(subscriptionGroupConfig(name))
  }
  save()
  void topics.put(topicConfig('orders', { attributes: { 'message.type': 'FIFO' } }))
  void groups.put(subscriptionGroupConfig('orders', { attributes: { team: 'ü' } }))
  void topics.delete('parts')
  void groups.delete('parts')
  save()

  expect(read()).toEqual(said())
})

test('a slave’s files hold what its master has, and nothing from before', () => {
  const { topics, groups, save, said, read } = tables()
  void topics.put(topicConfig('before'))
  void groups.put(subscriptionGroupConfig('before'))
  save()
  const dataVersion = { counter: 7, stateVersion: 0, timestamp: 1 }
  const system = new Map([...topics.toTable().topicConfigTable].filter(([name]) => name !== 'before'))
  topics.replaceAll({ dataVersion, topicConfigTable: system.set('orders', topicConfig('orders')) })
  groups.replaceAll({
    dataVersion,
    subscriptionGroupTable: new Map([['orders', subscriptionGroupConfig('orders')]]),
    forbiddenTable: { orders: { paid: 1 } },
  })
  save()
  const [savedTopics, savedGroups] = read()

  expect(savedTopics).toEqual(said()[0])
  expect(savedGroups.forbiddenTable).toEqual({ orders: { paid: 1 } })
  expect(Object.keys(savedGroups.subscriptionGroupTable)).toContain('orders')
  expect(Object.keys(savedGroups.subscriptionGroupTable)).not.toContain('before')
})
