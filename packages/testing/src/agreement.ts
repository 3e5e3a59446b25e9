import { expect } from 'vitest'

/** What is used of a node that adds up. Named by its shape: this package stands below `raftkit`. */
export interface Summing {
  readonly commands: { add(by: number): Promise<unknown> }
  readonly queries: { sum(input: undefined): Promise<unknown> }
  ready(): Promise<unknown>
  status(): { readonly role: string }
  close(): Promise<unknown>
}

/** Three nodes agree on a sum, and two go on when their leader leaves. All are closed in the end. */
export async function agree(nodes: readonly Summing[]): Promise<void> {
  try {
    await Promise.all(nodes.map((node) => node.ready()))
    await Promise.all(nodes.flatMap((node) => Array.from({ length: 100 }, () => node.commands.add(1))))
    expect(await Promise.all(nodes.map((node) => node.queries.sum(undefined)))).toEqual([300, 300, 300])
    const leader = nodes.find((node) => node.status().role === 'leader')!
    await leader.close()
    const rest = nodes.filter((node) => node !== leader)
    await Promise.all(rest.map((node) => node.commands.add(50)))
    expect(await Promise.all(rest.map((node) => node.queries.sum(undefined)))).toEqual([400, 400])
  } finally {
    await Promise.all(nodes.map((node) => node.close()))
  }
}
