import { writeJson } from '../json.ts'
import { Fields } from './fields.ts'

/** One slave, as its master sees it. */
export interface HaConnection {
  addr: string
  slaveAckOffset: number
  diff: number // bytes that it lacks
  inSync: boolean
  transferredByteInSecond: number
  transferFromWhere: number
}

/** A slave, as it sees itself. */
export interface HaClient {
  masterAddr: string
  transferredByteInSecond: number
  maxOffset: number
  lastReadTimestamp: number // ms
  lastWriteTimestamp: number // ms
  masterFlushOffset: number
  activated: boolean
}

/** Body of GET_BROKER_HA_STATUS. Source: Apache RocketMQ 5, HARuntimeInfo. */
export interface HaStatus {
  master: boolean
  masterCommitLogMaxOffset: number
  inSyncSlaveNums: number
  haConnectionInfo: HaConnection[]
  haClientRuntimeInfo: HaClient | undefined // a slave's
}

const noClient: HaClient = {
  masterAddr: '',
  transferredByteInSecond: 0,
  maxOffset: 0,
  lastReadTimestamp: 0,
  lastWriteTimestamp: 0,
  masterFlushOffset: 0,
  activated: false,
}

export function writeHaStatus(status: HaStatus): string {
  return writeJson({ ...status, haClientRuntimeInfo: status.haClientRuntimeInfo ?? noClient })
}

/** What a slave asks its master for: where that one's log ends. */
export function readMasterMaxOffset(body: Buffer): number {
  return Fields.of('HARuntimeInfo', body).integer('masterCommitLogMaxOffset', 0)
}
