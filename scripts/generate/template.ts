import { stringify } from 'yaml'

/** A value that the plain manifest holds as it is and the chart as a template expression. */
class Place {
  readonly plain: unknown
  readonly expression: string

  constructor(plain: unknown, expression: string) {
    this.plain = plain
    this.expression = expression
  }
}

const chartOnly = 'chart only: '

/** A value: `plain` in manifests, `{{ expression }}` in the chart. */
export function scalar(plain: string | number | boolean, expression: string): unknown {
  return new Place(plain, `{{ ${expression} }}`)
}

/** A map or list: `plain` in manifests; in the chart the YAML text that the expression gives, below its key. */
export function block(plain: unknown, expression: string): unknown {
  return new Place(plain, `{{- ${expression} | nindent INDENT }}`)
}

/** Template lines of the chart among the keys of a map; manifests have nothing there. INDENT is where they begin. */
export function linesInMap(...lines: string[]): Record<string, null> {
  return { [chartOnly + lines.join('\n')]: null }
}

/** The same among the items of a list. */
export function linesInList(...lines: string[]): string {
  return chartOnly + lines.join('\n')
}

/** A key that the chart has where the value is not empty. */
export function whereSet(key: string, value: string): Record<string, null> {
  return linesInMap(`{{- with ${value} }}`, `${key}: {{- toYaml . | nindent INDENT+2 }}`, '{{- end }}')
}

/** The object as `kubectl apply` takes it. */
export function plainOf(tree: unknown): unknown {
  if (tree instanceof Place) return tree.plain
  if (Array.isArray(tree)) return tree.filter((item) => !isChartOnly(item)).map(plainOf)
  if (typeof tree !== 'object' || tree === null) return tree
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([key]) => !isChartOnly(key))
      .map(([key, value]) => [key, plainOf(value)]),
  )
}

/** The object as a template of a chart: YAML with expressions in it. */
export function templateOf(tree: unknown): string {
  const texts: string[] = []
  const token = (kind: 'VALUE' | 'LINES', text: string) => `${kind}${texts.push(text) - 1}END`
  const withTokens = (node: unknown): unknown => {
    if (node instanceof Place) return token('VALUE', node.expression)
    if (isChartOnly(node)) return token('LINES', node.slice(chartOnly.length))
    if (typeof node === 'string') return node.includes('{{') ? token('VALUE', literal(node)) : node
    if (Array.isArray(node)) return node.map(withTokens)
    if (typeof node !== 'object' || node === null) return node
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => [isChartOnly(key) ? withTokens(key) : key, withTokens(value)]),
    )
  }
  const fill = (line: string): string => {
    const [isLines, spaces = '', at] = /^(\s*)(?:- )?LINES(\d+)END(?:: null)?$/.exec(line) ?? []
    if (isLines !== undefined) {
      const lines = (texts[Number(at)] ?? '').split('\n')
      return lines.map((one) => spaces + withColumn(one, spaces.length)).join('\n')
    }
    const keyColumn = /^[\s-]*/.exec(line)?.[0].length ?? 0
    return line.replace(/VALUE(\d+)END/g, (_, index) => withColumn(texts[Number(index)] ?? '', keyColumn + 2))
  }
  return yamlOf(withTokens(tree)).split('\n').map(fill).join('\n')
}

export function yamlOf(object: unknown): string {
  return stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })
}

/** Text in which `{{` is no template. */
function literal(text: string): string {
  return `{{ ${JSON.stringify(text)} | quote }}`
}

function withColumn(text: string, column: number): string {
  return text.replace(/INDENT(?:\+(\d+))?/g, (_, more) => String(column + Number(more ?? 0)))
}

function isChartOnly(node: unknown): node is string {
  return typeof node === 'string' && node.startsWith(chartOnly)
}
