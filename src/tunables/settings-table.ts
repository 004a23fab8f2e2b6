import { meaningOf, type SettingsSchema } from './settings.ts'

/** The settings of a schema as a Markdown table, in the schema's order; scripts/generate.ts writes it into docs/. */
export function settingsTable(schema: SettingsSchema): string {
  const rows = Object.entries(schema.shape).map(([key, field]) => {
    const { description, unit, standIn, live } = meaningOf(field)
    return [
      `\`${key}\``,
      defaultOf(field.preset, standIn),
      unit ?? '',
      field.fits(),
      description,
      live ? 'yes' : '',
    ].map(cell)
  })
  const head = ['Key', 'Default', 'Unit', 'Fits', 'Meaning', 'Live']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

/** What holds when the key is not set; a stand-in is prose, a default is a value. */
function defaultOf(value: unknown, standIn: string | undefined): string {
  if (standIn !== undefined) return standIn
  return value === '' || value === undefined ? '' : `\`${value}\``
}

function cell(text: string): string {
  return text.replace(/\|/g, '\\|').replace(/\n/g, ' ')
}
