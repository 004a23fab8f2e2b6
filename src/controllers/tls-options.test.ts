import { expect, test } from '@jest/globals'
import { readTlsOptions } from './tls-options.ts'

const holding = (text: string) => ({ readText: () => text })

test('the file of an Apache client is read, and servers must prove themselves where it does not say', () => {
  const text = '# ours\ntls.client.trustCertPath=/etc/tls/ca.crt\ntls.client.keyPassword=\ntls.test.mode.enable=false\n'

  expect(readTlsOptions('/etc/tls.properties', holding(text))).toEqual({
    authServer: true,
    trustCertPath: '/etc/tls/ca.crt',
  })
  expect(readTlsOptions('/f', holding('tls.client.authServer = FALSE'))).toEqual({ authServer: false })
  expect(readTlsOptions(undefined, holding('never read'))).toEqual({ authServer: true })
})

test('a value that is neither true nor false is refused with the file that has it', () => {
  expect(() => readTlsOptions('/f', holding('tls.client.authServer=yes'))).toThrow(
    /authServer.*from=\/f.*true or false/,
  )
})
