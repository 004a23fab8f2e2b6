/**
 * Opens connections that say nothing, and tells its parent when all are open, and once all are closed how long the first and the
 * last of them lived. A process of its own: its connections take file descriptors, and its work no time of the good clients.
 *   node idle-connections.ts PORT COUNT
 */
import { connect } from 'node:net'

export interface Lives {
  shortestMs: number
  longestMs: number
}

const atOnce = 100

const [port, count] = process.argv.slice(2).map(Number) as [number, number]
const lives: number[] = []

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('error', reject)
    socket.once('connect', () => {
      const openedAtMs = performance.now()
      socket.resume()
      socket.once('close', () => {
        if (lives.push(performance.now() - openedAtMs) < count) return
        process.send!({ shortestMs: Math.min(...lives), longestMs: Math.max(...lives) } satisfies Lives)
        process.disconnect!()
      })
      resolve()
    })
  })
}

for (let opened = 0; opened < count; opened += atOnce) {
  await Promise.all(Array.from({ length: Math.min(atOnce, count - opened) }, open))
}
process.send!('open')
