import { RaftkitError } from '@raftkit/contract'

/** The names of groups (up to 64) and snapshots (up to 128), as the contract has them. */
const rule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** Device names of Windows, with or without an extension. */
const reserved = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/

/**
 * A file name for a group's or a snapshot's name (at most 128 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit).
 * Two names never share one, not even on a file system that ignores case: which letters are capital is spelled out in hex, `Main` → `~1~main~`.
 * It is never a path, never hidden, never a device, ends in no dot, and is at most 163 characters. Throws `INVALID_OPTION` for anything else.
 */
export function toFileName(name: string): string {
  if (typeof name !== 'string' || !rule.test(name))
    throw new RaftkitError(
      'INVALID_OPTION',
      `${JSON.stringify(name)} is not a name: at most 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit`,
    )
  const lower = name.toLowerCase()
  if (lower === name && !name.endsWith('.') && !reserved.test(name)) return name
  let capitals = 0n
  for (let i = 0; i < name.length; i++) if (name[i] !== lower[i]) capitals |= 1n << BigInt(i)
  return `~${capitals.toString(16)}~${lower}~`
}

/** The name that `toFileName` gave this file name; undefined for any other file. */
export function fromFileName(file: string): string | undefined {
  const [, bits, lower] = /^~([0-9a-f]{1,32})~([^~]*)~$/.exec(file) ?? []
  let name = file
  if (bits !== undefined && lower !== undefined) {
    const capitals = BigInt(`0x${bits}`)
    name = [...lower].map((letter, i) => ((capitals >> BigInt(i)) & 1n ? letter.toUpperCase() : letter)).join('')
  }
  return rule.test(name) && toFileName(name) === file ? name : undefined
}
