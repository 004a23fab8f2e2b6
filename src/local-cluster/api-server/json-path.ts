import { isObject } from './object.ts'

type Step = { field: string } | { index: number } | { where: string[]; equals: string } | 'all'

/**
 * Parses the JSONPath that printer columns use: `.a.b`, `.a[0]`, `['a']`, `.a[*]`, `.a[?(@.type=="Ready")].status`,
 * dots in a name escaped as `\.`.
 * @returns what reads the first value at the path, undefined where there is none
 * @throws Error for other text
 */
export function parseJsonPath(path: string): (value: unknown) => unknown {
  const steps = stepsOf(path)
  return (value) => steps.reduce<unknown[]>((found, step) => found.flatMap((at) => walk(step, at)), [value])[0]
}

function stepsOf(path: string): Step[] {
  const token =
    /^(?:\.((?:\\.|[^.[\\])+)|\[(\d+)\]|\['([^']+)'\]|\[\*\]|\[\?\(@\.([\w.]+)\s*==\s*(?:"([^"]*)"|'([^']*)')\)\])/
  const steps: Step[] = []
  for (let rest = path; rest !== ''; ) {
    const match = token.exec(rest)
    if (match === null) throw new Error(`no JSONPath of a printer column: ${path}`)
    const [text, field, index, quoted, where, double, single] = match
    if (where !== undefined) steps.push({ where: where.split('.'), equals: double ?? single ?? '' })
    else if (index !== undefined) steps.push({ index: Number(index) })
    else if (field !== undefined) steps.push({ field: field.replace(/\\(.)/g, '$1') })
    else steps.push(quoted === undefined ? 'all' : { field: quoted })
    rest = rest.slice(text.length)
  }
  return steps
}

function walk(step: Step, at: unknown): unknown[] {
  if (step === 'all') return Array.isArray(at) ? at : []
  if ('index' in step) return Array.isArray(at) && step.index < at.length ? [at[step.index]] : []
  if ('field' in step) return isObject(at) && at[step.field] !== undefined ? [at[step.field]] : []
  const { where, equals } = step
  if (!Array.isArray(at)) return []
  return at.filter(
    (item) => where.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), item) === equals,
  )
}
