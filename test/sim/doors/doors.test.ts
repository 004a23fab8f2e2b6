import { expect, test } from '@jest/globals'
import type { Socket } from '../../../src/base/network.ts'
import { World } from '../world.ts'
import { ProcessDead } from './disk.ts'

const address = { host: 'server', port: 9 }

/** A server and a client that are connected; what each reads is in a text. */
async function connected(world: World) {
  const server = world.start(world.machine('server'))
  const client = world.start(world.machine('client'))
  const heard = { server: '', client: '', closed: [] as string[] }
  const listen = (name: 'server' | 'client', socket: Socket) => {
    socket.handle({
      data: (chunk) => (heard[name] += chunk.toString()),
      drained: () => {},
      closed: (error) => heard.closed.push(`${name} ${error?.message ?? 'end'}`),
    })
    return socket
  }
  let far: Socket | undefined
  await server.doors.network.listen(address, (socket) => (far = listen('server', socket)))
  const connecting = client.doors.network.connect(address, 1_000)
  let near: Socket | undefined
  void connecting.then((socket) => (near = listen('client', socket)))
  await world.timeline.run(100)
  return { server, client, heard, near: near!, far: far! }
}

test('events run in the order of their times, then of their making, and end their turn together', async () => {
  const world = new World(1)
  const seen: string[] = []
  const { doors } = world.start(world.machine('a'))
  for (const [ms, name] of [
    [5, 'late'],
    [1, 'early'],
    [1, 'second'],
  ] as const) {
    world.timeline.after(ms, () => {
      seen.push(name)
      doors.clock.endOfTurn(() => seen.push(`end of ${name}`))
      void Promise.resolve().then(() => seen.push(`then ${name}`))
    })
  }

  await world.timeline.run(10)

  expect(seen).toEqual(
    ['early', 'then early', 'second', 'then second', 'end of early', 'end of second'].concat([
      'late',
      'then late',
      'end of late',
    ]),
  )
  expect(world.timeline.nowMs).toBe(10)
})

test('nothing of a dead process runs any more', async () => {
  const world = new World(1)
  const process = world.start(world.machine('a'))
  const seen: string[] = []
  process.doors.clock.after(10, () => seen.push('timer'))
  process.doors.clock.endOfTurn(() => seen.push('end of turn'))
  process.doors.clock.microtask(() => seen.push('microtask'))
  process.doors.files.makeDirectory('/d')
  const file = process.doors.files.open('/d/f', 'create')
  void file.sync().then(() => seen.push('sync'))

  world.end(process, 'kill')
  await world.timeline.run(1_000)

  expect(seen).toEqual([])
  expect(() => file.write(Buffer.from('x'), 0)).toThrow(ProcessDead)
})

test('a process that dies at a change of the disk leaves the changes before it', async () => {
  const world = new World(1)
  const machine = world.machine('a')
  const process = world.start(machine)
  process.doors.files.makeDirectory('/d')
  process.doors.files.writeText('/d/f', 'old')
  process.dieAtChange = { left: 4, death: 'kill' } // open, truncate, write in two parts

  expect(() => process.doors.files.writeText('/d/f', 'new')).toThrow(ProcessDead)

  expect(process.isAlive).toBe(false)
  expect(machine.disk.memory.readText('/d/f')).toBe('old')
  expect(machine.disk.memory.readText('/d/f.new')).toBe('new')
})

test('bytes arrive whole and in order', async () => {
  const world = new World(3)
  const { near, far, heard } = await connected(world)
  const text = Array.from({ length: 500 }, (_, at) => `${at},`)

  for (const part of text) near.write(Buffer.from(part))
  far.write(Buffer.from('back'))
  await world.timeline.run(1_000)

  expect(heard).toEqual({ server: text.join(''), client: 'back', closed: [] })
})

test('a partition swallows one way until it heals', async () => {
  const world = new World(4)
  const { near, far, heard } = await connected(world)

  const heal = world.network.partition(far.local.host, near.local.host)
  near.write(Buffer.from('there'))
  far.write(Buffer.from('back'))
  await world.timeline.run(20_000)
  expect(heard).toEqual({ server: 'there', client: '', closed: [] })
  heal()
  await world.timeline.run(30_000)

  expect(heard.client).toBe('back')
})

test('a kill closes connections at once, a power cut when the machine is back', async () => {
  const world = new World(5)
  const { server, heard, near } = await connected(world)
  world.end(server, 'powerCut')
  near.write(Buffer.from('hello?'))
  await world.timeline.run(30_000)
  expect(heard.closed).toEqual([])

  world.start(world.machine('server'))
  await world.timeline.run(40_000)
  expect(heard.closed).toEqual(['client read ECONNRESET'])

  const second = new World(6)
  const other = await connected(second)
  second.end(other.server, 'kill')
  await second.timeline.run(200)
  expect(other.heard.closed).toHaveLength(1)
})

test('nobody answers a connect to a dark machine, and a machine without the program refuses', async () => {
  const world = new World(7)
  const { server, client } = await connected(world)
  const outcomes: unknown[] = []
  const connect = () => client.doors.network.connect(address, 500).catch((error) => outcomes.push(error.cause.message))

  world.end(server, 'kill')
  void connect()
  await world.timeline.run(2_000)
  world.end(world.start(world.machine('server')), 'powerCut')
  void connect()
  await world.timeline.run(4_000)

  expect(outcomes).toEqual(['ECONNREFUSED', 'no answer in 500 ms'])
})

test('a process that throws, or logs what is no operating error, is a problem', async () => {
  const world = new World(8)
  const { doors } = world.start(world.machine('a'))
  doors.clock.after(1, () => {
    throw new TypeError('oops')
  })
  doors.log.error({ err: new RangeError('hidden') }, 'a request met a bug')
  await world.timeline.run(10)

  expect(world.problems.map((text) => text.split('\n')[0])).toEqual([
    'a logged error: a request met a bug RangeError: hidden',
    'a threw: TypeError: oops',
  ])
})
