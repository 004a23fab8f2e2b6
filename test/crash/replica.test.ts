import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { killReplicas } from './replica.ts'

// The long form is part of `npm run test:conformance`.
test('what a SYNC_MASTER acknowledged is on its slave when its disk is gone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'replica-'))
  try {
    const { problems, acked, copied } = await killReplicas({ dir, flush: 'ASYNC_FLUSH', kills: 2 })
    expect(problems).toEqual([])
    expect(copied).toBeGreaterThanOrEqual(acked)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}, 120_000)
