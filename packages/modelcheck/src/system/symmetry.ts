import type { NodeId } from '@raftkit/contract'

export type Rename = (id: NodeId) => NodeId

/** All ways to exchange ids within the groups; first, none. */
export function renamesOf(servers: readonly NodeId[], groups: readonly (readonly NodeId[])[]): Rename[] {
  let maps: Map<NodeId, NodeId>[] = [new Map(servers.map((id) => [id, id]))]
  for (const group of groups)
    maps = maps.flatMap((map) =>
      orders(group).map((order) => new Map([...map, ...group.map((id, at): [NodeId, NodeId] => [id, order[at]!])])),
    )
  return maps.map((map) => (id) => map.get(id) ?? id)
}

function orders<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((item, at) =>
    orders([...items.slice(0, at), ...items.slice(at + 1)]).map((rest) => [item, ...rest]),
  )
}

/** The bytes with every id, as a text with its length, exchanged. Ids of a scope are equally long. */
export function renamed(bytes: Uint8Array, ids: readonly NodeId[], rename: Rename): Uint8Array {
  let copy: Uint8Array | undefined
  for (const id of ids) {
    const to = rename(id)
    if (to === id) continue
    const mark = [id.length, 0, 0, 0, ...new TextEncoder().encode(id)]
    for (let at = 0; at + mark.length <= bytes.length; at++) {
      if (!mark.every((byte, i) => bytes[at + i] === byte)) continue
      copy ??= bytes.slice()
      copy.set(new TextEncoder().encode(to), at + 4)
    }
  }
  return copy ?? bytes
}
