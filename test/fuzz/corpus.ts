import type { Chance } from '../../src/base/testing/chance.ts'
import { RequestCode } from '../../src/remoting/codes.ts'
import type { Command } from '../../src/remoting/command.ts'
import { FrameDecoder } from '../../src/remoting/frame.ts'
import { readVectors } from '../contract/vectors.ts'

/** What Apache's clients said, by code: what the fuzzer begins with. */
const recorded = new Map<number, Command[]>()
const fieldNames = new Set<string>()
for (const { answer, frame } of readVectors()) {
  if (answer !== undefined) continue
  new FrameDecoder().push(Buffer.from(frame, 'hex'), (command) => {
    recorded.set(command.code, [...(recorded.get(command.code) ?? []), command])
    for (const name of Object.keys(command.extFields)) fieldNames.add(name)
  })
}
const names = [...fieldNames, 'topic', 'queueId', 'offset', 'group', 'consumerGroup', 'clientId']

/** Every code that we know, and some that nobody does. */
export const codes: readonly number[] = [...Object.values(RequestCode), 0, 1, 999, 65_535]

/** Messages of the stage's own topic, which mutations of other requests find too. */
export const stageTopic = 'FuzzTopic'
/** One large message in its only queue; no attack but those that ask for it knows the name. */
export const floodTopic = 'FloodTopic'

/** A request of this code, as a client would send it where one was recorded, else with fields that others have. */
export function requestOf(code: number, chance: Chance): Command {
  const known = recorded.get(code)
  if (known !== undefined) {
    const one = chance.one(known)
    const extFields = { ...one.extFields }
    for (const key of ['topic', 'b']) if (key in extFields && chance.is(0.5)) extFields[key] = stageTopic
    return { ...one, extFields }
  }
  const extFields: Record<string, string> = {}
  for (let left = chance.int(6); left > 0; left--) extFields[chance.one(names)] = oddText(chance)
  const body = chance.is(0.5) ? Buffer.alloc(0) : Buffer.from('{}')
  return { code, flag: 0, opaque: 0, language: 'JAVA', version: 513, remark: undefined, extFields, body }
}

const oddTexts: readonly string[] = [
  ...['', ' ', '0', '1', '-1', '2147483647', '2147483648', '-2147483649', '4294967296', '9007199254740993'],
  ...['9223372036854775807', '-9223372036854775808', '1e9', '0x10', 'NaN', 'Infinity', 'null', 'true', 'TRUE', '+5'],
  ...[stageTopic, '%RETRY%g', '%DLQ%g', 'TBW102', 'SCHEDULE_TOPIC_XXXX', 'broker-a', '127.0.0.1:1', '[::1]:1'],
  ...[
    '../../../etc/passwd',
    'a/b',
    'a\u0000b',
    'ä€🙂',
    '\ud800',
    '\u0001\u0002',
    '__proto__',
    'constructor',
    '*',
    '||',
  ],
  ...[
    'x'.repeat(127),
    'x'.repeat(128),
    'y'.repeat(70_000),
    '{}',
    '[]',
    '{"a":',
    '+k=v,-w',
    ';;;',
    '\n',
    'KEYS\u0001a\u0002',
  ],
]

export function oddText(chance: Chance): string {
  return chance.is(0.1) ? String(chance.int(0x1_0000_0000) - 0x8000_0000) : chance.one(oddTexts)
}

export function fieldName(chance: Chance): string {
  return chance.is(0.1) ? oddText(chance) : chance.one(names)
}
