import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { killUnderLoad } from './kill.ts'

// The long form, fifty kills, is `npm run test:crash`.
test.each(['SYNC_FLUSH', 'ASYNC_FLUSH'] as const)(
  'a broker killed under load keeps every acknowledged message, %s',
  async (flush) => {
    const dir = mkdtempSync(join(tmpdir(), 'crash-'))
    try {
      const { problems, acked, stored } = await killUnderLoad({ dir, flush, kills: 2 })
      expect(problems).toEqual([])
      expect(stored).toBeGreaterThanOrEqual(acked)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  },
  120_000,
)
