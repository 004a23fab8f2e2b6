/**
 * Whoever read what this command prints may be gone (head, less): then it ends as if it were told to stop, which leaves nothing
 * behind. Without this the first write that finds nobody is an error that nobody catches.
 */
export function stopWhenUnread(): void {
  let isTold = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    if (!isTold) process.kill(process.pid, 'SIGTERM')
    isTold = true
  })
}
