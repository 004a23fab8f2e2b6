import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

const directory = mkdtempSync(join(tmpdir(), 'broker-config-'))
const brokerConfigPath = join(directory, 'broker.conf')
let broker: TestBroker
afterEach(() => broker.stop())
afterAll(() => rmSync(directory, { recursive: true }))

const update = (text: string) => broker.client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, text)

test('what was changed stays in the file of the settings, beside what stood there', async () => {
  writeFileSync(brokerConfigPath, '# ours\nlistenPort=10911\nbrokerPermission=2\n')
  broker = await startTestBroker({ brokerConfigPath })

  expect((await update('brokerPermission=4\ntraceOn=false\n')).code).toBe(ResponseCode.SUCCESS)

  const saved = Object.fromEntries(
    readFileSync(brokerConfigPath, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  )
  expect(saved).toEqual({ listenPort: '10911', brokerPermission: '4', traceOn: 'false' })
  expect(readFileSync(`${brokerConfigPath}.bak`, 'utf8')).toContain('# ours')
})

test('nothing of a request is kept when one of its keys is refused', async () => {
  writeFileSync(brokerConfigPath, 'traceOn=true\n')
  broker = await startTestBroker({ brokerConfigPath })

  const refusal = await update('traceOn=false\ntraceon2=1\n')

  expect(refusal).toMatchObject({
    code: ResponseCode.INVALID_PARAMETER,
    remark: 'this broker has no setting traceon2; did you mean traceOn?',
  })
  expect(readFileSync(brokerConfigPath, 'utf8')).toBe('traceOn=true\n')
  const { body } = await broker.client.call(RequestCode.GET_BROKER_CONFIG)
  expect(body.toString()).toContain('traceOn=true\n')
})

test('a file that cannot be written does not refuse the change', async () => {
  broker = await startTestBroker({ brokerConfigPath: directory })

  expect((await update('traceOn=false')).code).toBe(ResponseCode.SUCCESS)

  const { body } = await broker.client.call(RequestCode.GET_BROKER_CONFIG)
  expect(body.toString()).toContain('traceOn=false\n')
})

test('a setting of Apache that is not read here is refused for that, not as one that nobody knows', async () => {
  broker = await startTestBroker({ brokerConfigPath })

  expect(await update('traceOn=false\nsendMessageThreadPoolNums=8\n')).toMatchObject({
    code: ResponseCode.INVALID_PARAMETER,
    remark: 'the setting sendMessageThreadPoolNums has no effect in this broker',
  })
})
