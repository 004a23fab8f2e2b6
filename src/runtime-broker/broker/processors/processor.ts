import { ResponseCode } from '../../../remoting/codes.ts'
import { writeJson } from '../../../remoting/json.ts'
import type { Response as WireResponse } from '../../../remoting/request.ts'
import type { Request } from '../../../remoting/server.ts'
import type { Broker } from '../context.ts'

export type Response = WireResponse
/** undefined: the processor keeps the request and answers it later. */
export type Outcome = Response | Promise<Response> | undefined

/** Answers the requests of one code. */
export interface Processor {
  readonly code: number
  handle(request: Request, broker: Broker): Outcome
}

interface Decoder<H> {
  decode(extFields: Readonly<Record<string, string>>): H
}

/** A processor of requests with a header. */
export function processor<H>(
  code: number,
  header: Decoder<H>,
  handle: (header: H, broker: Broker, request: Request) => Outcome,
): Processor {
  return { code, handle: (request, broker) => handle(header.decode(request.extFields), broker, request) }
}

/** A processor of requests without a header. */
export function bodyProcessor(code: number, handle: (broker: Broker, request: Request) => Outcome): Processor {
  return { code, handle: (request, broker) => handle(broker, request) }
}

export const done: Response = { code: ResponseCode.SUCCESS }

export function reply(extFields: Record<string, string>): Response {
  return { code: ResponseCode.SUCCESS, extFields }
}

/** A JSON body in Apache's dialect: object keys as they are, integer keys of Maps unquoted. */
export function replyJson(body: unknown): Response {
  return { code: ResponseCode.SUCCESS, body: Buffer.from(writeJson(body, { unquotedIntegerKeys: true })) }
}

/** A body that is written already. */
export function replyText(text: string): Response {
  return { code: ResponseCode.SUCCESS, body: Buffer.from(text) }
}

export function refuse(code: number, remark: string): Response {
  return { code, remark }
}

export function topicMissing(topic: string): Response {
  return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!`)
}

export function groupMissing(consumerGroup: string): Response {
  return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group [${consumerGroup}] does not exist`)
}
