import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { ownProcess } from '../base/node/index.ts'
import type { Command } from './command.ts'
import { decodeSendMessageV2 } from './headers/send-message.ts'
import { decodeJsonHeader } from './json-header.ts'
import { KnownHeaders } from './known-headers.ts'
import { ordinaryProperties } from './message/index.ts'
import { requestOf } from './testing/requests.ts'

const body = Buffer.from('hello')
const someName = '7F0000010000764FA30000000000C001'

interface Parts {
  opaque?: number | string
  name?: string
  extFields?: Record<string, string | undefined>
}

/** A header as Apache's Java client writes it. */
function headerOf({ opaque = 1, name = someName, extFields = {} }: Parts = {}): string {
  const fields = {
    a: 'a_group',
    b: 'TheTopic',
    c: 'TBW102',
    d: '4',
    e: '3',
    f: '0',
    g: '1795477551555',
    h: '0',
    i: `UNIQ_KEY\u0001${name}\u0002WAIT\u0001true\u0002TAGS\u0001TagA`,
    j: '0',
    k: 'false',
    m: 'false',
    n: 'broker-a',
    ...extFields,
  }
  return `{"code":310,"extFields":${JSON.stringify(fields)},"flag":0,"language":"JAVA","opaque":${opaque},"serializeTypeCurrentRPC":"JSON","version":503}`
}

class Reader {
  readonly #known = new KnownHeaders()

  /** As frame.ts does. @returns what was read, and whether without the parser */
  read(header: string): { command: Command; isKnown: boolean } {
    const bytes = Buffer.from(`before${header}behind`)
    const [start, end] = [6, bytes.length - 6]
    const known = this.#known.read(bytes, start, end, body)
    if (known !== undefined) return { command: known, isKnown: true }
    const command = decodeJsonHeader(header, body)
    this.#known.learn(bytes, start, end, header, command)
    return { command, isKnown: false }
  }
}

/** What everybody who looks at a command can see. */
function allOf({ code, language, version, opaque, flag, remark, extFields, body: itsBody }: Command) {
  return { code, language, version, opaque, flag, remark, extFields, body: itsBody }
}

function expectAsParsed(command: Command, header: string): void {
  const parsed = decodeJsonHeader(header, body)
  expect(allOf(command)).toEqual(allOf(parsed))
  const { send } = command
  if (send === undefined) return
  const { uniqKey, propertyBytes, form } = send
  const request = decodeSendMessageV2(parsed.extFields)
  expect(requestOf(send)).toEqual(request)
  expect(propertyBytes.toString()).toBe(request.properties)
  expect({ ...form.ordinary, uniqKey }).toEqual(ordinaryProperties(request.properties!))
}

describe('headers of sends', () => {
  test('are read without a parser from the second on', () => {
    const reader = new Reader()
    expect(reader.read(headerOf()).isKnown).toBe(false)
    const second = headerOf({
      opaque: 8,
      name: 'ABCDEFabcdef00000000000000000042',
      extFields: { e: '0', g: '1795477559999' },
    })
    const { command, isKnown } = reader.read(second)
    expect(isKnown).toBe(true)
    expectAsParsed(command, second)
    expect(command.send).toMatchObject({ queueId: 0, bornTimestamp: 1795477559999, topic: 'TheTopic' })
  })

  const digits = (length: number) =>
    fc.stringMatching(new RegExp(`^[1-9][0-9]{${length - 1}}$`)).filter((text) => text.length === length)
  const texts = fc.constantFrom('a_group', 'b_group', 'ü', '"e":"3', '3', '"opaque":1', someName, '\u0001', '%RETRY%x')
  const parts = fc.record({
    opaque: fc.oneof(digits(1), digits(2), digits(9), digits(10), fc.constantFrom('0', '-1', '"7"', '7.0')),
    name: fc.oneof(
      fc.constant(someName),
      fc.stringMatching(/^[0-9A-F]{32}$/),
      fc.constantFrom('3', '310', 'ü', '"', '', 'u0001', 'ul', 'rue', 'alse'),
    ),
    extFields: fc.record({
      a: fc.oneof({ weight: 8, arbitrary: fc.constant('a_group') }, { weight: 1, arbitrary: texts }),
      e: fc.oneof(digits(1), fc.constantFrom('0', '03', '-1', '+3', 'x', '', '99999999999', undefined)),
      g: fc.oneof(digits(13), fc.constantFrom('0', '01', 'x', '9007199254740993', undefined)),
      o: fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: texts }),
      n: fc.oneof({ weight: 8, arbitrary: fc.constant('broker-a') }, { weight: 1, arbitrary: fc.constant(undefined) }),
    }),
  })

  test('say what the parser says, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(parts, { minLength: 2, maxLength: 30 }), (list) => {
        const reader = new Reader()
        for (const each of list) {
          const header = headerOf(each)
          expectAsParsedOrRefused(reader, header)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('with any byte changed say what the parser says, or are refused as by it', () => {
    const header = headerOf({ opaque: 4711 })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(header.length - 1), fc.constantFrom(...'0179aZ"\\{}:, \u0001')), {
          minLength: 1,
          maxLength: 3,
        }),
        (changes) => {
          const reader = new Reader()
          reader.read(header)
          let changed = header
          for (const [at, char] of changes) changed = changed.slice(0, at) + char + changed.slice(at + 1)
          expectAsParsedOrRefused(reader, changed)
          expect(reader.read(header).isKnown).toBe(true) // what did not fit left nothing behind
        },
      ),
      { numRuns: 2000 },
    )
  })

  function expectAsParsedOrRefused(reader: Reader, header: string): void {
    let refusal: unknown
    try {
      decodeJsonHeader(header, body)
    } catch (error) {
      refusal = error
    }
    if (refusal === undefined) expectAsParsed(reader.read(header).command, header)
    else expect(() => reader.read(header)).toThrow((refusal as Error).message)
  }

  test.each([
    ['a number with a zero before it', { opaque: 1, extFields: { e: '07' } }],
    ['a negative queue', { extFields: { e: '-1' } }],
    ['an opaque that may be too large', { opaque: 2_147_483_647 }],
    ['no name', { extFields: { i: 'WAIT\u0001true' } }],
    ['a name that stands elsewhere too', { extFields: { a: someName } }],
    ['properties that are not ASCII', { extFields: { i: `UNIQ_KEY\u0001${someName}\u0002x\u0001ü` } }],
    ['a missing field', { extFields: { b: undefined } }],
    ['two names', { extFields: { i: `UNIQ_KEY\u0001${someName}\u0002UNIQ_KEY\u0001K2` } }],
    ['a message that is to be delayed', { extFields: { i: `UNIQ_KEY\u0001${someName}\u0002DELAY\u00013` } }],
  ])('%s: the parser reads it each time', (_, given) => {
    const reader = new Reader()
    for (let time = 0; time < 3; time++) {
      const { command, isKnown } = reader.read(headerOf(given))
      expect(isKnown).toBe(false)
      expectAsParsed(command, headerOf(given))
    }
  })

  test.each(['KEY', 'K', 'EY', 'UNIQ'])(
    'a message whose name is %s, as a part of UNIQ_KEY is, is left to the parser',
    (name) => {
      const reader = new Reader()
      reader.read(headerOf({ name }))
      const other = headerOf({ name }).replace(`${name}\\u0001`, `${'X'.repeat(name.length)}\\u0001`)
      const { command, isKnown } = reader.read(other)
      expect(isKnown).toBe(false)
      expectAsParsed(command, other)
      expect(reader.read(headerOf({ name })).isKnown).toBe(false)
    },
  )

  test('say what they said when others have come since', () => {
    const reader = new Reader()
    reader.read(headerOf())
    const header = headerOf({ name: 'ABCDEFabcdef00000000000000000042', extFields: { e: '1' } })
    const { command } = reader.read(header)
    reader.read(headerOf({ name: 'ABCDEFabcdef00000000000000000043', extFields: { e: '2' } }))

    expect(command.extFields).toEqual(decodeJsonHeader(header, body).extFields)
    expect(command.send?.properties).toBe(command.extFields.i)
  })

  test('keep nothing of the first message but its header', async () => {
    const known = new KnownHeaders()
    const bytes = Buffer.from(headerOf())
    const learn = () => {
      const large = Buffer.alloc(1024 * 1024)
      known.learn(bytes, 0, bytes.length, headerOf(), decodeJsonHeader(headerOf(), large))
      return new WeakRef(large.buffer)
    }
    const memory = learn()
    await new Promise(setImmediate) // until the end of the job that made it a WeakRef keeps its object
    ownProcess.collect()

    expect(known.read(bytes, 0, bytes.length, body)?.body).toBe(body)
    expect(memory.deref()).toBeUndefined()
  })

  test.each([
    ['a name that is part of an escape', headerOf({ name: 'u0001' })],
    ['a name that is part of a word', headerOf({ name: 'ul' }).replace('"h":"0"', '"h":"0","hh":null')],
    ['a number in place of a text', headerOf().replace('"e":"3"', '"e":3').replace(/}$/, ',"x":{"e":"3"}}')],
    ['an opaque with an exponent', headerOf({ opaque: '10e-1' })],
    ['an opaque with a fraction', headerOf({ opaque: '900000000.00000001' })],
  ])('%s is left to the parser', (_, header) => {
    const reader = new Reader()
    let refusal: unknown
    for (let time = 0; time < 40; time++) {
      try {
        const { command, isKnown } = reader.read(header)
        expect(isKnown).toBe(false)
        expectAsParsed(command, header)
      } catch (error) {
        refusal = error
      }
    }
    if (refusal !== undefined) expect(refusal).toMatchObject({ code: 'FRAME_INVALID' })
  })

  test('that are never alike are looked at less and less often', () => {
    const learned = jest.spyOn(JSON, 'stringify')
    const reader = new Reader()
    const count = (messages: number) => {
      learned.mockClear()
      for (let time = 0; time < messages; time++) {
        const key = String(100_000 + Math.trunc(time * 37.7))
        reader.read(headerOf({ extFields: { i: `KEYS\u0001${key}\u0002UNIQ_KEY\u0001${someName}` } }))
      }
      return learned.mock.calls.length
    }
    try {
      const [first, later] = [count(1000), count(1000)]
      expect(later - 1000).toBeLessThan((first - 1000) / 2) // headerOf takes one itself
    } finally {
      learned.mockRestore()
    }
  })

  test('of two kinds in turn, alike in length and beginning: one of them is known', () => {
    const reader = new Reader()
    let known = 0
    for (let time = 0; time < 200; time++) {
      const header = headerOf({ extFields: { n: time % 2 === 0 ? 'broker-a' : 'broker-b' } })
      const { command, isKnown } = reader.read(header)
      expectAsParsed(command, header)
      if (isKnown) known++
    }
    expect(known).toBeGreaterThan(80)
  })

  test('of very many producers: those that come often are known again after a while, and no more are kept than fit', () => {
    const reader = new Reader()
    const of = (producer: number) => headerOf({ extFields: { a: `group_${1000 + producer}` } })
    for (let producer = 0; producer < 600; producer++) reader.read(of(producer))
    expect(reader.read(of(0)).isKnown).toBe(true)
    expect(reader.read(of(599)).isKnown).toBe(false)
    for (let time = 0; time < 512 * 16; time++) reader.read(of(599))
    expect(reader.read(of(599)).isKnown).toBe(true)
    expect(reader.read(of(0)).isKnown).toBe(false)
  })
})
