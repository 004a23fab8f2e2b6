import { FrameFlag } from './codes.ts'
import type { KnownSend } from './known-send.ts'

/** One frame, decoded. */
export interface Command {
  code: number // of RequestCode or ResponseCode
  language: string
  version: number // ordinal of the sender's release: version.ts
  opaque: number // int32: pairs a response with its request, per connection and direction
  flag: number // bits of FrameFlag
  remark: string | undefined
  extFields: Record<string, string>
  /** A view on the received bytes: copy what must outlive the handler. Empty when absent. */
  body: Buffer
  /** SEND_MESSAGE_V2: its header, where that was read already. */
  send?: KnownSend | undefined
}

/** What a caller gives of a request; the connection adds the rest. */
export interface CommandContent {
  code: number
  extFields?: Record<string, string>
  body?: Buffer
}

export function isResponse(flag: number): boolean {
  return (flag & FrameFlag.RESPONSE) !== 0
}

export function isOneway(flag: number): boolean {
  return (flag & FrameFlag.ONEWAY) !== 0
}
