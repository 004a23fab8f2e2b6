import { createPrivateKey, randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import * as net from 'node:net'
import { join } from 'node:path'
import * as tls from 'node:tls'
import { expect, test } from '@jest/globals'
import type { ListenerTls } from '../../src/base/network.ts'
import { nodeClock, nodeDoors, nodeNetwork } from '../../src/base/node/index.ts'
import { eventually } from '../../src/base/testing/eventually.ts'
import type { Command } from '../../src/remoting/command.ts'
import { encodeCommand, FrameDecoder } from '../../src/remoting/frame.ts'
import { type ServerOptions, startServer } from '../../src/remoting/server.ts'
import { openTls } from '../../src/runtime-broker/tls.ts'
import { namesrvSchema, namesrvSettingsOf, settingsText } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'
import { certificate } from './certificate.ts'
import { forEachTest, keptLog } from './tls-stage.ts'

const first = certificate('first')
const second = certificate('second')
const friend = certificate('friend', 'client')
const stranger = certificate('stranger', 'client')

const { folders, undo } = forEachTest()

const settingsOf = (given: Record<string, string>) => namesrvSettingsOf(propertiesOf(given), testMachine)

/** The settings of `first` in a folder of its own. */
function withFirst(more: Record<string, string> = {}) {
  const path = folders.make({ 'tls.crt': first.cert, 'tls.key': first.key, 'ca.crt': friend.cert })
  const given = { 'tls.server.certPath': join(path, 'tls.crt'), 'tls.server.keyPath': join(path, 'tls.key'), ...more }
  return { path, given }
}

/** An echo server with TLS as these settings say. */
async function start(given: Record<string, string>, more: Partial<ServerOptions> & { listenerTls?: ListenerTls } = {}) {
  const { log, lines } = keptLog()
  const reloads: (() => void)[] = []
  const every = (periodMs: number, task: () => void) => {
    reloads.push(task)
    return nodeClock.every(periodMs, () => {})
  }
  const doors = { ...nodeDoors(log), clock: { ...nodeClock, every } }
  const opened = await openTls(settingsOf(given), doors)
  const { listenerTls = opened?.listener, ...options } = more
  const server = await startServer(
    {
      listen: { host: '127.0.0.1', port: 0 },
      handle: ({ extFields, body }) => ({ code: 0, extFields, body }),
      tls: listenerTls,
      ...options,
    },
    { ...nodeDoors(log) },
  )
  undo.push(
    () => server.close(0),
    () => opened?.close(),
  )
  const reload = async () => {
    reloads[0]!()
    await nodeClock.sleep(50)
  }
  return { port: server.address.port, server, lines, reload }
}

function request(body: Buffer): Buffer {
  const rest = { code: 10, language: 'JAVA', version: 479, opaque: 1, flag: 0, remark: undefined, extFields: {} }
  return encodeCommand({ ...rest, body })
}

/** What an open socket answers to one request: the body's length, or `closed`. */
function ask(socket: net.Socket, body = Buffer.from('hello')): Promise<string> {
  undo.push(() => socket.destroy())
  return new Promise((resolve) => {
    const decoder = new FrameDecoder()
    socket.on('data', (chunk: Buffer) =>
      decoder.push(chunk, (command: Command) => resolve(command.body.equals(body) ? 'answered' : 'wrong answer')),
    )
    socket.on('error', () => {})
    socket.on('close', () => resolve('closed'))
    socket.write(request(body))
  })
}

const plain = (port: number) => net.connect({ host: '127.0.0.1', port })
const secure = (port: number, more: tls.ConnectionOptions = {}) =>
  tls.connect({ host: '127.0.0.1', port, ca: [first.cert, second.cert], ...more })

test.each([
  ['disabled', 'answered', 'closed'],
  ['permissive', 'answered', 'answered'],
  ['enforcing', 'closed', 'answered'],
])('mode %s: a plain client is %s, a TLS client %s', async (mode, toPlain, toSecure) => {
  const { port } = await start(withFirst({ 'tls.server.mode': mode }).given)

  expect(await ask(plain(port))).toBe(toPlain)
  expect(await ask(secure(port))).toBe(toSecure)
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('a client of %s gets large answers whole', async (version) => {
  const { port, server } = await start(withFirst().given)

  const answer = await ask(secure(port, { minVersion: version, maxVersion: version }), randomBytes(3_000_000))

  expect(answer).toBe('answered')
  expect([...server.connections]).toMatchObject([{ remote: { host: '127.0.0.1' }, language: 'JAVA' }])
})

test('a TLS client that reads no answers is not read either, and goes on when it reads again', async () => {
  const count = 40
  let handled = 0
  const { port } = await start(withFirst().given, {
    queuedBytesHigh: 500_000,
    handle: ({ body }) => {
      handled++
      return { code: 0, body }
    },
  })
  const socket = secure(port)
  undo.push(() => socket.destroy())
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  const decoder = new FrameDecoder()
  let answers = 0
  const all = new Promise<void>((resolve) =>
    socket.on('data', (chunk: Buffer) => decoder.push(chunk, () => void (++answers === count && resolve()))),
  )

  socket.pause()
  for (let sent = 0; sent < count; sent++) socket.write(request(Buffer.alloc(1_000_000)))
  await nodeClock.sleep(500)
  const handledUnread = handled
  socket.resume()
  await all

  expect(handledUnread).toBeLessThan(count / 2) // what the buffers of the operating system hold
  expect(handled).toBe(count)
})

test('without a certificate, permissive serves plain clients and says why TLS ones are closed', async () => {
  const { port, lines } = await start({})

  expect(await ask(plain(port))).toBe('answered')
  expect(await ask(secure(port))).toBe('closed')
  expect(lines).toEqual([
    ['closing a connection: TLS', expect.objectContaining({ why: 'a TLS hello, and no certificate is set' })],
  ])
})

test('who repeats a refused hello does not fill the log', async () => {
  const { port, lines } = await start({})

  for (let count = 0; count < 15; count++) expect(await ask(secure(port))).toBe('closed')

  expect(lines.map(([message]) => message)).toEqual(Array(10).fill('closing a connection: TLS'))
})

test('a changed certificate is served to new connections, the open ones stay', async () => {
  const { path, given } = withFirst()
  const { port, reload, lines } = await start(given)
  const old = secure(port)
  expect(await ask(old)).toBe('answered')
  expect(old.getPeerCertificate().subject.CN).toBe('first')

  writeFileSync(join(path, 'tls.crt'), second.cert) // its key is not there yet
  await reload()
  await reload()
  const between = secure(port)
  expect(await ask(between)).toBe('answered')
  writeFileSync(join(path, 'tls.key'), second.key)
  await reload()
  const fresh = secure(port)
  expect(await ask(fresh)).toBe('answered')

  expect(between.getPeerCertificate().subject.CN).toBe('first')
  expect(fresh.getPeerCertificate().subject.CN).toBe('second')
  expect(old.destroyed).toBe(false)
  expect(lines.map(([message]) => message)).toEqual([
    'TLS files cannot be used; the certificate stays as it was',
    'TLS certificate reloaded',
  ])
})

test.each([
  ['soon', -80, 'the certificate of tls.server.certPath expires soon'],
  ['already', -120, 'the certificate of tls.server.certPath has expired: clients that check it do not connect'],
])('a certificate that expires %s is said once, and again when another one comes', async (_, startsInDays, said) => {
  const { path, given } = withFirst()
  const old = certificate('old', 'server', startsInDays)
  writeFileSync(join(path, 'tls.crt'), old.cert)
  writeFileSync(join(path, 'tls.key'), old.key)

  const { reload, lines } = await start(given)
  await reload()
  const next = certificate('next', 'server', startsInDays + 1)
  writeFileSync(join(path, 'tls.crt'), next.cert)
  writeFileSync(join(path, 'tls.key'), next.key)
  await reload()

  expect(lines.map(([message]) => message)).toEqual([said, 'TLS certificate reloaded', said])
  expect(lines[0]![1]).toMatchObject({ path: join(path, 'tls.crt'), validTo: expect.any(String) })
})

test('while the certificate changes again and again, whoever connects gets one of them, and open connections go on', async () => {
  const { path, given } = withFirst()
  const { port, reload } = await start(given)
  const early = secure(port)
  expect(await ask(early)).toBe('answered')
  let isChanging = true
  const answers: string[] = []
  const served = new Set<string>()
  const connecting = Array.from({ length: 4 }, async () => {
    while (isChanging) {
      const socket = secure(port)
      answers.push(await ask(socket))
      served.add(String(socket.getPeerCertificate().subject?.CN))
      socket.destroy()
    }
  })

  for (const { cert, key } of [second, first, second, first, second]) {
    writeFileSync(join(path, 'tls.key'), '') // as one that is being written
    await reload()
    writeFileSync(join(path, 'tls.key'), key)
    writeFileSync(join(path, 'tls.crt'), cert)
    await reload()
  }
  isChanging = false
  await Promise.all(connecting)
  const late = secure(port)
  await ask(late)

  expect(answers.filter((answer) => answer !== 'answered')).toEqual([])
  expect([...served].sort()).toEqual(['first', 'second'])
  expect(late.getPeerCertificate().subject.CN).toBe('second')
  early.removeAllListeners('data')
  expect(await ask(early)).toBe('answered')
})

test('a file that goes missing changes nothing', async () => {
  const { path, given } = withFirst()
  const { port, reload, lines } = await start(given)

  rmSync(join(path, 'tls.key'))
  await reload()

  expect(await ask(secure(port))).toBe('answered')
  expect(String(lines[0]![1].err)).toContain(join(path, 'tls.key'))
})

test.each([
  ['none', 'false', 'answered', 'answered', 'answered'],
  ['optional', 'true', 'answered', 'answered', 'closed'],
  ['require', 'true', 'closed', 'answered', 'closed'],
  ['require', 'false', 'closed', 'answered', 'answered'],
])('client auth %s, checked %s: none %s, a friend %s, a stranger %s', async (need, isChecked, ...wanted) => {
  const { path, given } = withFirst({
    'tls.server.need.client.auth': need,
    'tls.server.authClient': isChecked,
  })
  const { port } = await start({ ...given, 'tls.server.trustCertPath': join(path, 'ca.crt') })

  const answers = [{}, friend, stranger].map(async (identity) => ask(secure(port, identity)))

  expect(await Promise.all(answers)).toEqual(wanted)
})

test('half a hello has a deadline, however slowly it drips, and takes nothing from others', async () => {
  const context = await nodeNetwork.tlsContext(
    { cert: first.cert, key: first.key, keyPassword: '', clientAuth: 'none', trust: undefined },
    300,
  )
  const refusals: string[] = []
  const { port, server } = await start(
    {},
    {
      listenerTls: { servesPlain: true, context: () => context, refused: (_, why) => void refusals.push(why) },
    },
  )
  const slow = plain(port)
  undo.push(() => slow.destroy())
  slow.on('error', () => {})
  const closed = new Promise((resolve) => slow.once('close', () => resolve('closed')))
  const hello = Buffer.from('1603010200010001fc0303', 'hex')
  let sent = 0
  const drip = nodeClock.every(50, () => void slow.write(hello.subarray(sent, ++sent)))
  undo.push(() => drip.cancel())

  expect(await ask(secure(port))).toBe('answered')
  expect(await closed).toBe('closed')
  expect(refusals).toEqual([expect.stringContaining('handshake')])
  await nodeClock.sleep(50) // both ends close in a turn of their own
  expect([...server.connections]).toHaveLength(1)
})

test('a client of TLS 1.2 gets one handshake: another one costs the server more than the client', async () => {
  const { port } = await start(withFirst().given)
  const socket = secure(port, { maxVersion: 'TLSv1.2' })
  expect(await ask(socket)).toBe('answered')

  let handshakes = 0
  socket.renegotiate({}, (error) => {
    if (error === null) handshakes++
  })
  expect(await ask(secure(port))).toBe('answered') // a whole handshake later

  expect(handshakes).toBe(0)
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a record that is not of its session ends a connection of %s',
  async (version) => {
    const { port, server } = await start(withFirst().given)
    const tcp = plain(port)
    await new Promise((resolve) => tcp.once('connect', resolve))
    expect(await ask(secure(port, { socket: tcp, maxVersion: version }))).toBe('answered')

    tcp.write(Buffer.concat([Buffer.from('1703030028', 'hex'), randomBytes(40)]))
    await eventually(() => expect([...server.connections]).toEqual([]))
  },
)

test('a key with a password is opened, and the password is printed nowhere', async () => {
  const key = createPrivateKey(first.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 's3cret' })
    .toString()
  const { path, given } = withFirst({ 'tls.server.keyPassword': 's3cret' })
  writeFileSync(join(path, 'tls.key'), key)

  const { port, lines } = await start(given)

  expect(await ask(secure(port))).toBe('answered')
  expect(JSON.stringify(lines)).not.toContain('s3cret')
  expect(settingsText(namesrvSchema, settingsOf(given))).toContain('\ntls.server.keyPassword=\n')
  const wrong = start({ ...given, 'tls.server.keyPassword': 'wr0ng' })
  await expect(wrong).rejects.toMatchObject({ facts: { key: 'tls.server.keyPath' } })
  await expect(wrong).rejects.not.toThrow('wr0ng')
})

test.each([
  ['no file', 'tls.server.certPath', { 'tls.server.certPath': '/nowhere/tls.crt' }],
  ['a certificate that is none', 'tls.server.certPath', { cert: 'hello' }],
  ['a key that is none', 'tls.server.keyPath', { key: 'hello' }],
  ["another one's key", 'tls.server.keyPath', { key: second.key }],
  ['authorities that are none', 'tls.server.trustCertPath', { ca: 'hello' }],
  ['no key', 'tls.server.keyPath', { 'tls.server.keyPath': '' }],
  [
    'nothing, and TLS only',
    'tls.server.certPath',
    {
      'tls.server.certPath': '',
      'tls.server.keyPath': '',
      'tls.server.mode': 'enforcing',
    },
  ],
])('%s stops the start and names %s', async (_, key, { cert, key: keyText, ca, ...change }: Record<string, string>) => {
  const { path, given } = withFirst({ 'tls.server.authClient': 'true', 'tls.server.need.client.auth': 'require' })
  const trustPath = join(path, 'ca.crt')
  if (cert !== undefined) writeFileSync(join(path, 'tls.crt'), cert)
  if (keyText !== undefined) writeFileSync(join(path, 'tls.key'), keyText)
  if (ca !== undefined) writeFileSync(trustPath, ca)

  const starting = start({ ...given, 'tls.server.trustCertPath': trustPath, ...change })

  await expect(starting).rejects.toMatchObject({ code: 'SETTING_INVALID', facts: { key, fits: expect.any(String) } })
})
