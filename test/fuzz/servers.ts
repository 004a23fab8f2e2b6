import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { TargetCalls } from './target.ts'

type Answer<Name extends keyof TargetCalls> = Awaited<ReturnType<TargetCalls[Name]>>

/** How long the process may not turn its event loop, even on a busy machine. */
const stallMsMax = 15_000
const pingPeriodMs = 200
/** The count of objects that live is new in Node. */
const execArgv = ['--expose-gc', '--disable-warning=ExperimentalWarning']
const callMsMax = 30_000 // starting and stopping servers, on a busy machine

/** The process of target.ts, seen from outside. */
export class Servers {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  readonly #pinging: NodeJS.Timeout
  #lastId = 0
  /** Why it can be asked nothing any more. */
  failure: string | undefined

  /** @param mutant name of a bug that is planted */
  constructor(mutant?: string) {
    const [program, args] = mutant === undefined ? ['target.ts', []] : ['mutants/target.ts', [mutant]]
    this.#process = fork(join(import.meta.dirname, program), args, { execArgv })
    this.#process.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(new Error(error))
    })
    this.#process.once('exit', (code, signal) => this.#fail(`the servers' process ended: ${signal ?? `code ${code}`}`))
    let isPinging = true // it begins
    this.call('ping').then(
      () => (isPinging = false),
      () => {},
    )
    this.#pinging = setInterval(async () => {
      if (isPinging) return
      isPinging = true
      const overdue = setTimeout(() => {
        this.#fail(`the servers' process stood still for ${stallMsMax} ms`)
        this.#process.kill('SIGKILL')
      }, stallMsMax)
      await this.call('ping').catch(() => {})
      clearTimeout(overdue)
      isPinging = false
    }, pingPeriodMs)
  }

  /** @throws Error with `failure`, what the call threw, or that it takes too long */
  async call<Name extends keyof TargetCalls>(
    name: Name,
    ...args: Parameters<TargetCalls[Name]>
  ): Promise<Answer<Name>> {
    if (this.failure !== undefined) throw new Error(this.failure)
    const id = ++this.#lastId
    const deadline = setTimeout(() => {
      this.#waiting.get(id)?.reject(new Error(`${name} was not done in ${callMsMax} ms`))
      this.#waiting.delete(id)
    }, callMsMax)
    try {
      return (await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject })
        this.#process.send({ id, name, args })
      })) as Answer<Name>
    } finally {
      clearTimeout(deadline)
    }
  }

  end(): void {
    this.#fail('it was ended')
    this.#process.kill('SIGKILL')
  }

  #fail(why: string): void {
    clearInterval(this.#pinging)
    this.failure ??= why
    for (const { reject } of this.#waiting.values()) reject(new Error(this.failure))
    this.#waiting.clear()
  }
}
