import type { Config, Role } from '@raftkit/contract'
import { keyOf } from './encoding.ts'

/*
 * Quorums counted anew, by the words of the paper (§6): a majority of those who vote before, and a majority of those who vote after.
 * On purpose nothing of @raftkit/membership or core is used.
 */

/** Who votes in the old half, and who in the new one. In a simple configuration both halves are the same. */
const old: Readonly<Record<Role, boolean>> = {
  voter: true,
  leaving: true,
  retiring: true,
  outgoing: true,
  demoted: true,
  incoming: false,
  learner: false,
  joining: false,
}
const fresh: Readonly<Record<Role, boolean>> = {
  voter: true,
  leaving: true,
  retiring: true,
  incoming: true,
  outgoing: false,
  demoted: false,
  learner: false,
  joining: false,
}

/** `has` is asked for `id/incarnation`: only a listed pair counts. */
export function isQuorum(config: Config, has: (key: string) => boolean): boolean {
  for (const half of [old, fresh]) {
    const voters = config.members.filter(({ role }) => half[role])
    const count = voters.filter((member) => has(keyOf(member))).length
    if (count <= voters.length / 2) return false
  }
  return true
}

/** Two disjoint sets of which one is a quorum of `a` and the other of `b`; undefined if any two quorums intersect. */
export function disjointQuorums(a: Config, b: Config): readonly [string[], string[]] | undefined {
  const voting = ({ members }: Config): string[] =>
    members.filter(({ role }) => old[role] || fresh[role]).map((member) => keyOf(member))
  const all = [...new Set([...voting(a), ...voting(b)])]
  if (all.length > 16) throw new Error(`${all.length} voters are too many to try all sets`)
  const bit = new Map(all.map((key, at) => [key, 1 << at]))
  for (let set = 0; set < 1 << all.length; set++) {
    const within = (key: string): boolean => (set & bit.get(key)!) !== 0
    if (isQuorum(a, within) && isQuorum(b, (key) => !within(key)))
      return [all.filter(within), all.filter((key) => !within(key))]
  }
  return undefined
}
