import type { SendMessageRequest } from './headers/send-message.ts'
import type { OrdinaryProperties } from './message/index.ts'

/** What the sends of one producer to one topic have in common: all but queue, time and the name of the message. */
export interface SendForm {
  /** The first of them. */
  first: SendMessageRequest
  ordinary: OrdinaryProperties
  /** The property text before the name and behind it. */
  propertiesBefore: string
  propertiesBehind: string
}

/** The header of an ordinary send, which was known but for these values. */
export class KnownSend implements SendMessageRequest {
  readonly producerGroup: string
  readonly topic: string
  readonly defaultTopic: string
  readonly defaultTopicQueueNums: number
  readonly queueId: number
  readonly sysFlag: number
  readonly bornTimestamp: number
  readonly flag: number
  readonly reconsumeTimes: number
  readonly unitMode: boolean
  readonly maxReconsumeTimes: number | undefined
  readonly batch: boolean
  readonly brokerName: string | undefined
  /** Letters and digits. */
  readonly uniqKey: string
  /** The property text in ASCII: that of another send once the handler returned, or came to its first await. */
  readonly propertyBytes: Buffer
  readonly form: SendForm

  constructor(form: SendForm, queueId: number, bornTimestamp: number, uniqKey: string, propertyBytes: Buffer) {
    const { first } = form
    this.producerGroup = first.producerGroup
    this.topic = first.topic
    this.defaultTopic = first.defaultTopic
    this.defaultTopicQueueNums = first.defaultTopicQueueNums
    this.queueId = queueId
    this.sysFlag = first.sysFlag
    this.bornTimestamp = bornTimestamp
    this.flag = first.flag
    this.reconsumeTimes = first.reconsumeTimes
    this.unitMode = first.unitMode
    this.maxReconsumeTimes = first.maxReconsumeTimes
    this.batch = first.batch
    this.brokerName = first.brokerName
    this.uniqKey = uniqKey
    this.propertyBytes = propertyBytes
    this.form = form
  }

  /** Property KEYS: words. */
  get keys(): string | undefined {
    return this.form.ordinary.keys
  }

  /** Property TAGS. */
  get tag(): string | undefined {
    return this.form.ordinary.tag
  }

  get properties(): string {
    return this.form.propertiesBefore + this.uniqKey + this.form.propertiesBehind
  }
}
