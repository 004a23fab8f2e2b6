import type { Clock, Timer } from '../clock.ts'

function timer(handle: NodeJS.Timeout): Timer {
  return { cancel: () => clearTimeout(handle), unref: () => void handle.unref() }
}

export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, task) => timer(setTimeout(task, delayMs)),
  every: (periodMs, task) => timer(setInterval(task, periodMs)),
  endOfTurn: (task) => void setImmediate(task),
  microtask: (task) => queueMicrotask(task),
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const handle = setTimeout(() => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }, delayMs)
      const stop = () => {
        clearTimeout(handle)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', stop, { once: true })
    })
  },
}
