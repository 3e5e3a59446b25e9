import { canonical } from './canonical.ts'
import type { Operation } from './history.ts'

export type TimeUnit = 'ns' | 'us' | 'ms' | 's'

const nanoseconds: Readonly<Record<TimeUnit, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 }

export function timeText(time: number, unit: TimeUnit): string {
  const ns = time * nanoseconds[unit]
  const [name, size] =
    Math.abs(ns) >= 1e9 ? ['s', 1e9] : Math.abs(ns) >= 1e6 ? ['ms', 1e6] : Math.abs(ns) >= 1e3 ? ['µs', 1e3] : ['ns', 1]
  return `${Number((ns / (size as number)).toPrecision(7))} ${name}`
}

/** What was asked and answered, on one line: `cas 1 → 2: true`. */
export function describe({ input, output, ok }: Operation<unknown, unknown>, length = 120): string {
  const answer = ok === 'unknown' ? '?' : output === undefined ? '' : valueText(output, length)
  const asked = commandText(input, length)
  return answer === '' ? asked : `${asked}: ${answer}`
}

/** A value as JSON, cut in its middle: what was appended last is at its end. */
export function valueText(value: unknown, length = 120): string {
  const text = value === undefined ? 'absent' : canonical(value)
  if (text.length <= length) return text
  return `${text.slice(0, Math.ceil(length / 2))}…${text.slice(-Math.floor(length / 2))}`
}

function commandText(input: unknown, length: number): string {
  const command = input as Readonly<Record<string, unknown>> | null
  const show = (value: unknown): string => valueText(value, length)
  switch (typeof input === 'object' && command !== null ? command.op : undefined) {
    case 'get':
    case 'delete':
      return String(command!.op)
    case 'put':
      return `put ${show(command!.value)}`
    case 'cas':
      return `cas ${show(command!.from)} → ${show(command!.to)}`
    case 'append':
      return `append ${show(command!.text)}`
    default:
      return show(input)
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text for HTML, inside elements and quoted attributes. Keys and values are whatever a client sent. */
export function escapeHtml(text: string): string {
  return visible(text.replace(/[&<>"']/g, (character) => entities[character]!))
}

/** The text with every character that cannot be seen, or that turns the direction of what follows, shown by its number. */
export function visible(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
