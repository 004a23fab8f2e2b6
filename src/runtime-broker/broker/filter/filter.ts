import { ExpressionError } from './lexer.ts'
import type { Lookup } from './nodes.ts'
import { parse } from './parser.ts'
import { Incomparable } from './values.ts'

/** Does a message with these properties match? What is not known, or cannot be compared, does not. */
export type Filter = (lookup: Lookup) => boolean

/** Compiled expressions that are kept; of more, those that were not used for longest are compiled again. */
const keptMax = 1_000
/** Of all expressions that are kept, together: a compiled one is larger than its text, and its text can be as long as a frame. */
const keptLengthMax = 1_000_000

/** Compiles SQL92 expressions, each once. */
export class Filters {
  readonly #kept = new Map<string, Filter | ExpressionError>()
  #keptLength = 0

  /** @returns what is wrong with the expression, when it is none */
  compile(expression: string): Filter | ExpressionError {
    const known = this.#kept.get(expression)
    if (known !== undefined) this.#forget(expression)
    const compiled = known ?? compile(expression)
    if (expression.length > keptLengthMax) return compiled
    this.#kept.set(expression, compiled)
    this.#keptLength += expression.length
    while (this.#kept.size > keptMax || this.#keptLength > keptLengthMax) this.#forget(this.#kept.keys().next().value!)
    return compiled
  }

  #forget(expression: string): void {
    this.#kept.delete(expression)
    this.#keptLength -= expression.length
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
