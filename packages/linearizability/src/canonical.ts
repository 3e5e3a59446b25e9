/** Whatever JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** One text per value: members of objects in the order of their names. Two values are equal if their texts are. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    members.sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join()}}`
  }
  return JSON.stringify(value) ?? String(value)
}

/** Equality by value, at the price of a comparison for all but arrays and objects. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  return canonical(a) === canonical(b)
}

/** A key of a Map, one per value: scalars are their own, without a copy of long texts. */
export function identity(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) return `\0${canonical(value)}`
  return typeof value === 'string' && value.startsWith('\0') ? `\0${JSON.stringify(value)}` : value
}

/**
 * What makes a stranger's value unfit, if anything, judged without recursion: `canonical` recurses. A number that a double cannot hold is read as
 * infinite, and would be told as `null`, so that two values that differ would be the same.
 */
export function flawOf(value: unknown, depth = 64): string | undefined {
  let level: unknown[] = [value]
  for (let at = 0; level.length > 0; at++) {
    if (at > depth) return `nests more than ${depth} levels deep`
    if (level.some((item) => typeof item === 'number' && !Number.isFinite(item)))
      return 'holds a number that is too large'
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return undefined
}
