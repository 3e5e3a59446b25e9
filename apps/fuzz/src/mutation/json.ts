import type { Random } from './random.ts'

type Tree = unknown

const hostile: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  1e308,
  '',
  '__proto__',
  'constructor',
  '\ud800',
  '\u0000',
  '../..',
  '%2e%2e',
  'a'.repeat(5000),
  [],
  {},
  [[]],
  { __proto__: null },
]

const hostileNames = ['__proto__', 'constructor', 'prototype', 'toString', '', '0', 'then', '$ref', 'length']

/** Rows of JSON, one or more of them altered as values; sometimes as text. */
export function mutateText(seed: string, others: readonly string[], random: Random): string {
  const rows = seed.split('\n')
  do {
    const at = random.below(rows.length)
    switch (random.below(8)) {
      case 0:
        rows.splice(at, 1)
        break
      case 1:
        rows.splice(at, 0, rows[at] ?? '')
        break
      case 2: {
        const other = random.pick(others).split('\n')
        rows.splice(at, random.below(2), random.pick(other))
        break
      }
      case 3:
        rows[at] = scrawl(rows[at] ?? '', random)
        break
      default:
        rows[at] = mutateRow(rows[at] ?? '', random)
    }
    if (rows.length === 0) rows.push('')
  } while (random.chance(0.5))
  return rows.join('\n')
}

function mutateRow(row: string, random: Random): string {
  let text: string
  try {
    text = JSON.stringify(change(JSON.parse(row), random)) ?? 'null'
  } catch {
    // No JSON, or deeper than the stack.
    return scrawl(row, random)
  }
  // Deeper than a stack, for whoever goes through it by recursion.
  if (random.chance(0.004))
    return text.replace(/:("[^"]*"|\d+|null|true|false)/, `:${'['.repeat(20_000)}${']'.repeat(20_000)}`)
  // What JSON.stringify never writes, and JSON.parse takes.
  if (random.chance(0.1))
    return text.replace(/"[a-z_]{2,}":/, (name) => `${name}1,${random.chance(0.5) ? name : '"__proto__":'}`)
  if (random.chance(0.05)) return text.replace(/\d+/, random.pick(['1e999', '-0', '9007199254740993', '0.1e-400']))
  return text
}

function change(tree: Tree, random: Random): Tree {
  if (typeof tree !== 'object' || tree === null || random.chance(0.05)) return leaf(tree, random)
  if (Array.isArray(tree)) {
    if (tree.length === 0 || random.chance(0.2)) return [...tree, random.pick(hostile)]
    const at = random.below(tree.length)
    if (random.chance(0.1)) return tree.filter((_, i) => i !== at)
    return tree.map((item, i) => (i === at ? change(item, random) : item))
  }
  const members = Object.entries(tree)
  const at = random.below(members.length)
  switch (random.below(7)) {
    case 0:
      members.splice(at, 1)
      break
    case 1:
      members.push([random.pick(hostileNames), random.pick(hostile)])
      break
    case 2:
      if (members[at]) members[at] = [random.pick(hostileNames), members[at][1]]
      break
    default:
      if (members[at]) members[at] = [members[at][0], change(members[at][1], random)]
  }
  const out = Object.create(null) as Record<string, unknown>
  for (const [name, value] of members)
    Object.defineProperty(out, name, { value, enumerable: true, configurable: true, writable: true })
  return out
}

function leaf(value: Tree, random: Random): Tree {
  switch (random.below(6)) {
    case 0: {
      let nest: unknown = value
      for (let depth = random.pick([2, 63, 64, 65, 300]); depth > 0; depth--)
        nest = random.chance(0.5) ? [nest] : { a: nest }
      return nest
    }
    case 1:
      if (typeof value === 'number') return value + random.pick([-1, 1, 0.5, 2 ** 40])
      if (typeof value === 'string') return scrawl(value, random)
      return random.pick(hostile)
    case 2:
      return typeof value === 'string' ? value.repeat(random.below(30)) : random.u32()
    default:
      return random.pick(hostile)
  }
}

function scrawl(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  const size = random.below(5)
  const by = random.pick([
    '',
    '"',
    '\\',
    '{',
    '[',
    ']',
    '}',
    ',',
    ':',
    '\u0000',
    '\r',
    '\ud83d',
    '%',
    '%ff',
    '//',
    '?',
    '#',
    '..',
    '{"a":'.repeat(70),
  ])
  return text.slice(0, at) + by + text.slice(at + (random.chance(0.5) ? size : 0))
}
