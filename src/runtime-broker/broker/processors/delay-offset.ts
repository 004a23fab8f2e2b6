import { RequestCode } from '../../../remoting/codes.ts'
import { bodyProcessor, replyJson } from './processor.ts'

/** How far each delay level is delivered: slaves keep a copy. */
export const getAllDelayOffset = bodyProcessor(RequestCode.GET_ALL_DELAY_OFFSET, ({ schedule }) =>
  replyJson(schedule.toTable()),
)
