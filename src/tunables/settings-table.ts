import type { z } from 'zod'
import { fitsOf, meaningOf, type SettingsSchema } from './settings.ts'

/** The settings of a schema as a Markdown table, in the schema's order; scripts/generate.ts writes it into docs/. */
export function settingsTable(schema: SettingsSchema): string {
  const rows = Object.entries(schema.shape).map(([key, value]) => {
    const field = value as z.ZodType
    const { description, unit, standIn, live } = meaningOf(field)
    return [`\`${key}\``, defaultOf(field, standIn), unit ?? '', fitsOf(field), description, live ? 'yes' : ''].map(
      cell,
    )
  })
  const head = ['Key', 'Default', 'Unit', 'Fits', 'Meaning', 'Live']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

/** What holds when the key is not set; a stand-in is prose, a default is a value. */
function defaultOf(field: z.ZodType, standIn: string | undefined): string {
  if (standIn !== undefined) return standIn
  const value = field.parse(undefined)
  return value === '' ? '' : `\`${value}\``
}

function cell(text: string): string {
  return text.replace(/\|/g, '\\|').replace(/\n/g, ' ')
}
