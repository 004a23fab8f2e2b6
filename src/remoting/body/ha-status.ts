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
  activated: boolean // whether it follows; Apache's slave does not say, which reads as false
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

/** Brokers fill in both sides: a master's haClientRuntimeInfo says nothing, nor do the lists of a slave. */
export function readHaStatus(body: Buffer | string): HaStatus {
  const fields = Fields.of('HARuntimeInfo', body)
  const master = fields.bool('master', false)
  return {
    master,
    masterCommitLogMaxOffset: fields.integer('masterCommitLogMaxOffset', 0),
    inSyncSlaveNums: fields.integer('inSyncSlaveNums', 0),
    haConnectionInfo: fields.list('haConnectionInfo', readConnection),
    haClientRuntimeInfo: master ? undefined : readClient(fields.fields('haClientRuntimeInfo')),
  }
}

function readConnection(value: unknown): HaConnection {
  const fields = new Fields('HARuntimeInfo.haConnectionInfo', value)
  return {
    addr: fields.text('addr', ''),
    slaveAckOffset: fields.integer('slaveAckOffset', 0),
    diff: fields.integer('diff', 0),
    inSync: fields.bool('inSync', false),
    transferredByteInSecond: fields.integer('transferredByteInSecond', 0),
    transferFromWhere: fields.integer('transferFromWhere', 0),
  }
}

function readClient(fields: Fields): HaClient {
  return {
    masterAddr: fields.text('masterAddr', ''),
    transferredByteInSecond: fields.integer('transferredByteInSecond', 0),
    maxOffset: fields.integer('maxOffset', 0),
    lastReadTimestamp: fields.integer('lastReadTimestamp', 0),
    lastWriteTimestamp: fields.integer('lastWriteTimestamp', 0),
    masterFlushOffset: fields.integer('masterFlushOffset', 0),
    activated: fields.bool('activated', false),
  }
}

/** What a slave asks its master for: where that one's log ends. */
export function readMasterMaxOffset(body: Buffer): number {
  return Fields.of('HARuntimeInfo', body).integer('masterCommitLogMaxOffset', 0)
}
