import { commonFields, type Field, headerFields, lineTypes, messageKinds } from '../../src/trace/schema.ts'
import { between } from '../page.ts'

/** The tables of docs/reference/trace-format.md, made from the schema that the reader goes by. */
export function tables(): Record<string, string> {
  return {
    header: fieldTable(headerFields),
    common: fieldTable(commonFields),
    lines: lineTypes
      .map(({ type, only, says, fields }) => {
        const by = only === undefined ? '' : ` *Written by a ${only} alone.*`
        return `### \`${type}\`\n\n${says}${by}${fields.length > 0 ? `\n\n${fieldTable(fields)}` : ''}`
      })
      .join('\n\n'),
    messages: messageKinds
      .map(({ kind, says, fields }) => `### \`${kind}\`\n\n${says}\n\n${fieldTable(fields)}`)
      .join('\n\n'),
  }
}

function fieldTable(fields: readonly Field[]): string {
  const rows = fields.map(
    ({ name, kind, optional, says }) => `| \`${name}\` | ${kind}${optional ? ', optional' : ''} | ${says} |`,
  )
  return ['| Field | Holds | |', '|---|---|---|', ...rows].join('\n')
}

/** The page with its tables made anew. */
export const fill = (page: string): string =>
  Object.entries(tables()).reduce((filled, [name, table]) => between(filled, name, table), page)
