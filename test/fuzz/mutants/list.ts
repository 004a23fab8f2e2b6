import type { Mutant } from '../../sim/mutants/list.ts'

/** A bug of what stands between the network and the processors, and what it is to be found by. */
export interface FuzzMutant extends Mutant {
  /** In the names of the attacks that meet it. */
  by: string
  attacks: number
  /** What is said then. */
  shows: RegExp
}

const keptBuffer = '\n    ;((globalThis as unknown as { kept: Buffer[] }).kept ??= []).push(Buffer.alloc(16 * 1024))'

export const mutants: readonly FuzzMutant[] = [
  // What one peer can do to the process.
  {
    name: 'a bug in the reader of frames is met',
    file: 'src/remoting/frame.ts',
    find: "throw new OperatingError('FRAME_INVALID', { what: 'unknown serialisation', type })",
    replaceBy: "throw new TypeError('unknown serialisation')",
    by: 'odd header lengths',
    attacks: 16,
    shows: /^uncaughtException: TypeError/,
  },
  {
    name: 'a frame of no length is read for ever',
    file: 'src/remoting/frame.ts',
    find: '    const length = buffer.readInt32BE(at)\n',
    replaceBy: '    const length = buffer.readInt32BE(at)\n    while (length === 0);\n',
    by: 'odd lengths',
    attacks: 48,
    shows: /stood still/,
  },
  {
    name: 'a header takes a time that grows with the square of its fields',
    file: 'src/remoting/json-header.ts',
    find: '  for (const key in texts) {\n',
    replaceBy: "  for (const key in texts) {\n    for (const other in texts) if (other === '') return {}\n",
    by: 'odd headers',
    attacks: 24,
    shows: /a turn of the event loop took|stood still/,
  },
  {
    name: 'each warning is logged',
    file: 'src/base/warnings.ts',
    find: 'if (before.count++ < countMax) log.warn',
    replaceBy: 'if (before.count++ < 1e9) log.warn',
    by: 'odd lengths',
    attacks: 64,
    shows: /log lines say/,
  },
  // What is not a frame, or never becomes one.
  {
    name: 'a frame may be of any length',
    file: 'src/remoting/frame.ts',
    find: 'if (length + lengthBytes > this.#bytesMax) {',
    replaceBy: 'if (length + lengthBytes > Number.MAX_SAFE_INTEGER) {',
    by: 'odd lengths',
    attacks: 16,
    shows: /^odd lengths.*: (open after|.*not for what came)/,
  },
  {
    name: 'room for a whole frame is made when it begins',
    file: 'src/remoting/frame.ts',
    find: 'Math.min(wanted, Math.max(bytes, 2 * this.#partial.length, reservedBytes))',
    replaceBy: 'wanted',
    by: 'many beginnings',
    attacks: 2,
    shows: /bytes of buffers were needed/,
  },
  {
    name: 'who sends no frame stays connected',
    file: 'src/remoting/connection.ts',
    find: "'closing a connection that sent no RocketMQ frame')\n          this.destroy()",
    replaceBy: "'closing a connection that sent no RocketMQ frame')",
    by: 'garbage',
    attacks: 16,
    shows: /^garbage.*: (open after|.*not for what came)/,
  },
  {
    name: 'who says nothing stays connected',
    file: 'src/remoting/connection.ts',
    find: 'if (this.#lastActiveMs < nowMs - idleMs) this.destroy()',
    replaceBy: '',
    by: 'silence',
    attacks: 8,
    shows: /^silence.*: open after/,
  },
  {
    name: 'a frame may drip for ever',
    file: 'src/remoting/connection.ts',
    find: 'if (frameMs <= idleMs +',
    replaceBy: 'if (frameMs >= 0 || frameMs <= idleMs +',
    by: 'dripping',
    attacks: 8,
    shows: /^dripping(, in TLS)?: open after/,
  },
  {
    name: 'who ends the connection stays connected',
    file: 'src/base/node/network.ts',
    find: 'allowHalfOpen: false',
    replaceBy: 'allowHalfOpen: true',
    by: 'cut frame',
    attacks: 16,
    shows: /^cut frame.*: (open|closed) after/,
  },
  // What waits for a peer that does not read.
  {
    name: 'who never reads is served on',
    file: 'src/remoting/connection.ts',
    find: "queuedBytes > this.#limits.queuedBytesHigh && this.#side === 'server'",
    replaceBy: "queuedBytes > Number.MAX_SAFE_INTEGER && this.#side === 'server'",
    by: 'unread flood',
    attacks: 4,
    shows: /bytes waited for it/,
  },
  {
    name: 'what waits for all peers together is not counted',
    file: 'src/remoting/held-bytes.ts',
    find: '    this.#movedBytes = 0\n    let heldBytes = 0\n',
    replaceBy: '    this.#movedBytes = 0\n    if (this.#bytesMax > 0) return\n    let heldBytes = 0\n',
    by: 'unread flood',
    attacks: 100,
    shows: /bytes waited for peers to read them/,
  },
  {
    name: 'requests that had to wait for a reader are forgotten',
    file: 'src/remoting/connection.ts',
    find: 'for (const command of this.#deferred.splice(0)) this.#receive(command)',
    replaceBy: 'this.#deferred = []',
    by: 'late reader',
    attacks: 4,
    shows: /^late reader.*: (no answer to|the connection was closed)/,
  },
  // Answers.
  {
    name: 'a request that fails is not answered',
    file: 'src/remoting/connection.ts',
    find: 'if (!request.isAnswered) request.answer({ code: ResponseCode.SYSTEM_ERROR',
    replaceBy: 'if (request.isAnswered) request.answer({ code: ResponseCode.SYSTEM_ERROR',
    by: 'odd requests',
    attacks: 32,
    shows: /^odd requests.*: (no answer to|the connection was closed)/,
  },
  {
    name: 'a request is answered twice',
    file: 'src/remoting/request.ts',
    find: 'else for (const part of this.#parts(header, bodies)) this.#path.send(part)',
    replaceBy: `const parts = this.#parts(header, bodies)
    for (const part of [...parts, ...parts]) this.#path.send(part)`,
    by: 'odd requests',
    attacks: 16,
    shows: /^odd requests.*more than once/,
  },
  {
    name: 'a oneway request is answered',
    file: 'src/remoting/request.ts',
    find: '    if (this.isOneway) return false\n',
    replaceBy: '',
    by: 'oneways',
    attacks: 8,
    shows: /^oneways.*no answer was wanted/,
  },
  // What is left when all are gone.
  {
    name: 'a server never forgets a connection',
    file: 'src/remoting/server.ts',
    find: 'connection.onClose(() => this.#connections.delete(connection))',
    replaceBy: '',
    by: 'gone',
    attacks: 32,
    shows: /connections are kept/,
  },
  {
    name: 'a few bytes of each connection are kept',
    file: 'src/remoting/server.ts',
    find: '    this.#connections.add(connection)\n',
    replaceBy: `    this.#connections.add(connection)${keptBuffer}\n`,
    by: 'gone',
    attacks: 900,
    shows: /bytes of buffers are kept/,
  },
  {
    name: 'a server that was closed goes on to look for idle connections',
    file: 'src/remoting/server.ts',
    find: '    this.#idleTimer?.cancel()\n',
    replaceBy: '',
    by: 'gone',
    attacks: 4,
    shows: /timers go on/,
  },
  // TLS.
  {
    name: 'who never ends a handshake stays connected',
    file: 'src/remoting/connection.ts',
    find: 'if (this.#lastActiveMs < nowMs - idleMs) this.destroy()',
    replaceBy: 'if (this.#hasRead && this.#lastActiveMs < nowMs - idleMs) this.destroy()',
    by: 'dripping hello',
    attacks: 4,
    shows: /^dripping hello: open after/,
  },
  {
    name: 'who breaks TLS stays connected',
    file: 'src/base/node/network.ts',
    find: '      this.#failure = error\n      socket.destroy()\n',
    replaceBy: '      this.#failure = error\n',
    by: 'broken record',
    attacks: 4,
    shows: /^broken record: (open|closed) after/,
  },
  {
    name: 'who may speak TLS alone, and does not, stays connected',
    file: 'src/base/node/network.ts',
    find: '      tls.refused(this.remote, why)\n      socket.destroy()\n',
    replaceBy: '      tls.refused(this.remote, why)\n',
    by: 'plain bytes',
    attacks: 4,
    shows: /^plain bytes: (open|closed) after/,
  },
]
