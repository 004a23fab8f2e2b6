import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { killReplicas } from './replica.ts'

// The long form is `npm run test:crash`.
test('what a SYNC_MASTER acknowledged is on its slave when its disk is gone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'replica-'))
  try {
    const { problems, acked, stored } = await killReplicas({ dir, flush: 'ASYNC_FLUSH', kills: 2 })
    expect(problems).toEqual([])
    expect(stored).toBeGreaterThanOrEqual(acked)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}, 120_000)
