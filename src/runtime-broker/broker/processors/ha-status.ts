import { writeHaStatus } from '../../../remoting/body/ha-status.ts'
import { RequestCode } from '../../../remoting/codes.ts'
import { bodyProcessor, replyText } from './processor.ts'

/** Who copies this log and how far that is; what `mqadmin haStatus` prints. */
export const getHaStatus = bodyProcessor(RequestCode.GET_BROKER_HA_STATUS, ({ replication }) =>
  replyText(writeHaStatus(replication.status())),
)
