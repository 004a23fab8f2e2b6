import { X509Certificate } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { makeCertificate } from './certificate.ts'

const options = {
  commonName: 'rocketmq-local',
  addresses: ['127.9.0.1'],
  dnsNames: ['localhost'],
  serial: Buffer.from('00f1e2d3c4b5a697', 'hex'),
  nowMs: Date.UTC(2030, 1, 3),
  validDays: 365,
}

test('a certificate names its server, verifies with its own key and is valid for the time asked for', () => {
  const made = makeCertificate(options)

  const read = new X509Certificate(made.cert)

  expect(read.verify(read.publicKey)).toBe(true)
  expect(read.checkIP('127.9.0.1')).toBe('127.9.0.1')
  expect(read.checkIP('127.9.0.2')).toBeUndefined()
  expect(read.checkHost('localhost')).toBe('localhost')
  expect(read.ca).toBe(true)
  expect(read.serialNumber).toBe('F1E2D3C4B5A697')
  expect(new Date(read.validFrom).getTime()).toBe(options.nowMs - 3_600_000)
  expect(new Date(read.validTo).getTime()).toBe(options.nowMs + 365 * 86_400_000)
})

test('a date after 2049 is written with its century', () => {
  const read = new X509Certificate(makeCertificate({ ...options, nowMs: Date.UTC(2051, 0, 1) }).cert)

  expect(new Date(read.validTo).getUTCFullYear()).toBe(2052)
})
