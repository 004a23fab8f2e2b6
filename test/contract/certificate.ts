import { randomBytes } from 'node:crypto'
import { type Certificate, makeCertificate } from '../../src/local-cluster/certificate.ts'

const dayMs = 86_400_000

/** A certificate of 127.0.0.1 that is its own authority, good for 90 days from an hour before its start. */
export function certificate(
  commonName: string,
  purpose: 'server' | 'client' = 'server',
  startsInDays = 0,
): Certificate {
  return makeCertificate({
    commonName,
    addresses: ['127.0.0.1'],
    dnsNames: [],
    serial: randomBytes(8),
    nowMs: Date.now() + startsInDays * dayMs,
    validDays: 90,
    purpose,
  })
}
