import type { Config, Member, NodeId, Role } from '@raftkit/contract'
import type { Newcomer } from './request.ts'

/** Configurations are never changed, only made anew; these make one out of another. */

/** A member is a pair: the same id under another incarnation is somebody else. */
export const isSame = (a: Newcomer, b: Newcomer): boolean => a.id === b.id && a.incarnation === b.incarnation

/** The pair, as it is listed. */
export const listed = (config: Config, who: Newcomer): Member | undefined =>
  config.members.find((member) => isSame(member, who))

/** All of that id: two while one incarnation replaces another. */
export const ofId = (config: Config, id: NodeId): readonly Member[] =>
  config.members.filter((member) => member.id === id)

/** The same members in other roles; one without a role is listed no more. */
export function withRoles(config: Config, roleOf: (member: Member) => Role | undefined): Config {
  return withMembers(
    config,
    config.members.flatMap((member) => {
      const role = roleOf(member)
      return role === undefined ? [] : role === member.role ? [member] : [{ ...member, role }]
    }),
  )
}

export const withRole = (config: Config, who: Member, role: Role): Config =>
  withRoles(config, (member) => (isSame(member, who) ? role : member.role))

export const without = (config: Config, who: Newcomer): Config =>
  withRoles(config, (member) => (isSame(member, who) ? undefined : member.role))

/** Lists the newcomer, or lists it anew. An address belongs to an id: without a new one, the one that is known for the id stays. */
export function withNewcomer(config: Config, newcomer: Newcomer, role: Role): Config {
  const { id, incarnation, address = (listed(config, newcomer) ?? ofId(config, id)[0])?.address } = newcomer
  return withMembers(config, [...without(config, newcomer).members, withAddress({ id, incarnation, role }, address)])
}

export function withAddress({ id, incarnation, role }: Member, address: string | undefined): Member {
  return address === undefined ? { id, incarnation, role } : { id, address, incarnation, role }
}

/** One configuration has one form: sorted by id, then by incarnation. */
export function withMembers(config: Config, members: readonly Member[]): Config {
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
  return {
    ...config,
    members: [...members].sort((a, b) => order(a.id, b.id) || order(a.incarnation, b.incarnation)),
  }
}

export function isEqual(a: Config, b: Config): boolean {
  return (
    a.members.length === b.members.length &&
    a.members.every((member, i) => {
      const other = b.members[i]!
      return isSame(member, other) && member.role === other.role && member.address === other.address
    })
  )
}
