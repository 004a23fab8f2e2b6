import { OperatingError } from '../base/errors.ts'
import type { SubscriptionData } from '../remoting/body/heartbeat.ts'
import { PropertyName, type StoredMessage, tagsCodeOf } from '../remoting/message/index.ts'
import { checkName } from './message.ts'

/** Which messages of a topic a group wants. */
export interface Subscription {
  readonly data: SubscriptionData
  /** The broker compares hashes of tags: this compares the tags. */
  wants(message: StoredMessage): boolean
}

/**
 * @param expression tags joined by `||`; `*` or nothing: all messages
 * @param subVersion ms since 1970: of two versions the broker keeps the later
 * @throws OperatingError MESSAGE_ILLEGAL (the topic's name), SETTING_INVALID (an empty tag)
 */
export function subscribe(topic: string, expression: string, subVersion: number): Subscription {
  checkName(topic, 'topic')
  const isAll = expression.trim() === '' || expression.trim() === '*'
  const tags = isAll ? [] : expression.split('||').map((tag) => tag.trim())
  if (tags.includes('')) throw new OperatingError('SETTING_INVALID', { topic, expression, fits: 'tag || tag, or *' })
  const wanted = new Set(tags)
  return {
    data: {
      classFilterMode: false,
      codeSet: tags.map(tagsCodeOf),
      expressionType: 'TAG',
      subString: isAll ? '*' : expression,
      subVersion,
      tagsSet: tags,
      topic,
    },
    wants: ({ properties }) => isAll || wanted.has(properties.get(PropertyName.TAGS) ?? ''),
  }
}
