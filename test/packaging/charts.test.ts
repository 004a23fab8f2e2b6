import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { parse, parseAllDocuments } from 'yaml'
import { operatorValues } from '../../scripts/generate/operator-values.ts'
import { block, linesInList, linesInMap, plainOf, scalar, templateOf } from '../../scripts/generate/template.ts'

// Rendering needs Helm, which test/e2e has: there the chart is compared with install.yaml. These need Node alone.

const root = resolve(import.meta.dirname, '../..')
const text = (path: string) => readFileSync(join(root, path), 'utf8')
const charts = readdirSync(join(root, 'charts'))

function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
}

test('a value stands in the manifest, its expression in the template', () => {
  const tree = {
    replicas: scalar(2, '.Values.replicas'),
    list: [{ labels: block({ a: 'b' }, 'toYaml .x'), after: 1 }, linesInList('{{- if .y }}', '- more', '{{- end }}')],
    ...linesInMap('{{- with .z }}', 'z: {{- toYaml . | nindent INDENT+2 }}', '{{- end }}'),
    text: 'of {{ braces }}',
  }

  expect(plainOf(tree)).toEqual({ replicas: 2, list: [{ labels: { a: 'b' }, after: 1 }], text: 'of {{ braces }}' })
  expect(templateOf(tree)).toBe(`replicas: {{ .Values.replicas }}
list:
  - labels: {{- toYaml .x | nindent 6 }}
    after: 1
  {{- if .y }}
  - more
  {{- end }}
{{- with .z }}
z: {{- toYaml . | nindent 2 }}
{{- end }}
text: {{ "of {{ braces }}" | quote }}
`)
})

test('values.yaml holds the defaults of the schema', () => {
  expect(parse(text('charts/rocketmq-operator/values.yaml'))).toEqual(operatorValues.parse({}))
})

test('every value of the operator is read by a template', () => {
  const templates = filesOf('charts/rocketmq-operator/templates').map(text).join()
  const paths = (value: unknown, path: string): string[] =>
    typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0
      ? [path]
      : Object.entries(value).flatMap(([key, one]) => paths(one, `${path}.${key}`))
  const readWhole = ['.Values.resources', '.Values.image']
  const unread = paths(operatorValues.parse({}), '.Values').filter(
    (path) => !readWhole.some((whole) => path.startsWith(`${whole}.`)) && !templates.includes(path),
  )

  expect(unread).toEqual([])
  for (const field of ['repository', 'tag', 'digest']) expect(templates).toContain(`.${field}`)
})

test('where clients of a cluster find its NameServers goes by every field of the reference to them', () => {
  const { properties } = JSON.parse(text('charts/rocketmq-cluster/values.schema.json'))
  const fields = Object.keys(properties.brokerSet.properties.nameServerRef.properties)
  const helpers = text('charts/rocketmq-cluster/templates/_helpers.tpl')
  const helper = /define "rocketmq-cluster.namesrvAddr".*?(?=define|$)/s.exec(helpers)?.[0]

  expect(fields).toEqual(['name', 'namespace'])
  for (const field of fields) expect(helper).toContain(`$ref.${field} | default `)
})

test.each(charts)('%s fits into the Secret of a release many times over', (chart) => {
  const files = filesOf(`charts/${chart}`).map((path) => readFileSync(join(root, path)))
  // the release holds the chart and what it rendered, packed, and base64 twice; a Secret takes 1 MiB
  const packed = gzipSync(Buffer.concat([...files, ...files])).length * (4 / 3) ** 2

  expect(packed).toBeLessThan(128 * 1024)
})

test('no resource definition is too large for kubectl apply', () => {
  const sizes = parseAllDocuments(text('deploy/install.yaml'))
    .map((document) => document.toJS())
    .filter(({ kind }) => kind === 'CustomResourceDefinition')
    .map((crd) => JSON.stringify(crd).length)

  expect(sizes.length).toBeGreaterThan(0)
  expect(Math.max(...sizes)).toBeLessThan(120 * 1024) // an annotation, where it keeps what was applied, takes 256 KiB
})
