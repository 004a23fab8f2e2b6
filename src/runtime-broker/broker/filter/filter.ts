import { ExpressionError } from './lexer.ts'
import type { Lookup } from './nodes.ts'
import { parse } from './parser.ts'
import { Incomparable } from './values.ts'

/** Does a message with these properties match? What is not known, or cannot be compared, does not. */
export type Filter = (lookup: Lookup) => boolean

/** Compiled expressions that are kept; of more, those that were not used for longest are compiled again. */
const keptMax = 1_000

/** Compiles SQL92 expressions, each once. */
export class Filters {
  readonly #kept = new Map<string, Filter | ExpressionError>()

  /** @returns what is wrong with the expression, when it is none */
  compile(expression: string): Filter | ExpressionError {
    const compiled = this.#kept.get(expression) ?? compile(expression)
    this.#kept.delete(expression)
    this.#kept.set(expression, compiled)
    if (this.#kept.size > keptMax) this.#kept.delete(this.#kept.keys().next().value!)
    return compiled
  }
}

function compile(expression: string): Filter | ExpressionError {
  try {
    const root = parse(expression)
    return (lookup) => {
      try {
        return root.evaluate(lookup) === true
      } catch (error) {
        if (error instanceof Incomparable) return false
        throw error
      }
    }
  } catch (error) {
    if (error instanceof ExpressionError) return error
    throw error
  }
}
