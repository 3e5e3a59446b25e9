import { type Authority, createAuthority, type Issued, issue } from '@raftkit/certificates'
import type { NodeId } from '@raftkit/contract'
import type { LinkOptions, LinkTransport, Tls, TransportReport } from '@raftkit/links'
import { TestNode } from '../node.ts'

/** Makes a transport of the kind that is tested. */
export type Create = (options: LinkOptions) => LinkTransport

const hour = 3_600_000
const at = (from: number): Date => new Date(Date.now() + from)

export const authority: Authority = await createAuthority({ cluster: 'c' })
/** Of the same name, and another key. */
export const other: Authority = await createAuthority({ cluster: 'c' })
export const elder: Authority = await createAuthority({ cluster: 'c', from: at(-48 * hour) })

export const a: Issued = await issue(authority, { node: 'a' })
export const b: Issued = await issue(authority, { node: 'b' })
export const client: Issued = await issue(authority, { client: 'a' })
export const ofOther: Issued = await issue(other, { node: 'a' })
export const expired: Issued = await issue(elder, { node: 'a', from: at(-2 * hour), days: 1 / 24 })
export const early: Issued = await issue(authority, { node: 'a', from: at(hour) })

/** What a node shows, and whom it believes. */
export const showing = ({ cert, key }: Issued, ca: string = authority.cert, deny: readonly string[] = []): Tls => ({
  ca,
  cert,
  key,
  deny,
})

/** What was told, by whom. */
export const reports: Record<string, TransportReport[]> = {}
export const reasons = (id: string): string[] => reports[id]!.map(({ reason }) => reason)

export type Start = (id: NodeId, options: LinkOptions, address?: string | null) => Promise<TestNode>

/** Starts nodes that write down what they are told of. `address`: null if it only dials. */
export function starting(create: Create): Start {
  return (id, options, address = '127.0.0.1:0') => {
    const told: TransportReport[] = []
    reports[id] = told
    const transport = () => create({ ...options, onReport: (report) => told.push(report) })
    return TestNode.start({ transport }, id, { address })
  }
}

export const transportOf = ({ transport }: TestNode): LinkTransport => transport as LinkTransport
