import { bytes, ms } from './fields.ts'
import { setting } from './settings.ts'
import * as z from './values.ts'

/** Settings of a broker about messages that wait for the end of a transaction. */
export const transactionFields = {
  rejectTransactionMessage: setting(z.boolean().default(false), 'Messages of transactions are refused.', {
    live: true,
  }),
  transactionTimeOut: setting(
    ms.default(6000),
    'How long a producer may take to end a transaction before the broker asks it.',
    { unit: 'ms', live: true },
  ),
  transactionCheckInterval: setting(ms.default(30_000), 'Period in which producers are asked.', {
    unit: 'ms',
    live: true,
  }),
  transactionCheckMax: setting(
    z.int32().min(1).max(1_000_000).default(15),
    'A message whose producers were asked this often is given up: it goes to TRANS_CHECK_MAX_TIME_TOPIC.',
    { live: true },
  ),
  transactionOpMsgMaxSize: setting(
    bytes(1, 65_536).default(4096),
    'Ended transactions are noted together, in a note no longer than this.',
    { unit: 'bytes', live: true },
  ),
  transactionOpBatchInterval: setting(
    ms.default(3000),
    'The note is written this long after the first transaction in it ended, if not before.',
    {
      unit: 'ms',
      live: true,
    },
  ),
}
