import type { Socket } from 'node:net'

/** What one read may bring; it is read from again at once where it brought that much. */
const bytesMax = 128 * 1024

let shared: Buffer | undefined

/**
 * Lets a connected socket read into one buffer that all of these sockets share, in place of a fresh one of 64 KiB for each read:
 * zeroing, counting and collecting those cost a broker more than reading does. Node offers this as the option `onread` of sockets that connect;
 * those that a server accepts have the same parts, set here.
 * @param take is given each read; its bytes are the next read's afterwards
 * @returns false where this Node has no such parts: nothing was changed
 */
export function readShared(socket: Socket, take: (chunk: Buffer) => void): boolean {
  const parts = socket as unknown as Record<symbol, unknown> & { _handle?: { useUserBuffer?(buffer: Buffer): void } }
  const symbols = Object.getOwnPropertySymbols(socket)
  const [buffer, callback, next] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
    symbols.find((symbol) => symbol.description === name && parts[symbol] === null),
  )
  if (buffer === undefined || callback === undefined || next === undefined) return false
  if (parts._handle?.useUserBuffer === undefined) return false
  shared ??= Buffer.allocUnsafeSlow(bytesMax)
  const from = shared
  parts[buffer] = from
  parts[callback] = (bytes: number) => take(from.subarray(0, bytes))
  parts._handle.useUserBuffer(from)
  return true
}
