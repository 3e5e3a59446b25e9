import { certifiedRaft, type Voter } from '@raftkit/bft'
import type { Signatures } from '@raftkit/contract'
import { ed25519, sha256 } from '@raftkit/ed25519'
import { createNode, type Node } from 'raftkit'
import type { Target } from '../cluster/load/drive.ts'
import { measured } from '../cluster/load/measured.ts'
import { profileFile } from '../cluster/load/profile-file.ts'
import type { Watched } from '../cluster/load/usage.ts'
import { storageOf, transportOf } from '../cluster/systems/adapters.ts'
import { KeyValues } from '../cluster/systems/machines.ts'
import { answer } from '../cluster/systems/system.ts'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { beginProfile } from '../harness/profile.ts'
import { Clients, cluster } from './clients.ts'

export interface MemberInput {
  readonly id: string
  readonly members: Readonly<Record<string, string>>
  /** Public keys, in hex. */
  readonly keys: Readonly<Record<string, string>>
  readonly pem: string
  readonly storage: string
  readonly transport: string
  readonly directory: string
  readonly electionTimeout: number
  readonly profile?: string
}

export interface Work {
  readonly outstanding: number
  /** Operations under one signature. */
  readonly batch: number
  readonly warmUp: number
  readonly seconds: number
  /** Requests signed before it begins. */
  readonly prepared: number
}

export type Request =
  | { readonly type: 'status' }
  | { readonly type: 'run'; readonly work: Work; readonly watched: Watched }
  | { readonly type: 'edge'; readonly edge: 'begin' | 'end' }
  | { readonly type: 'first-put' }
  | { readonly type: 'close' }

export interface MemberStatus {
  readonly role: string
  readonly term: number
  readonly leader: string | null
  readonly applied: number
  readonly puts: number
}

/** One member, and the load on it if it leads: the calls are those of a program that takes clients' requests and hands them on. */
export async function member(input: MemberInput, context: CaseContext): Promise<Sample> {
  const { id, members, keys, pem, storage, transport, directory, electionTimeout, profile } = input
  const voters: Voter[] = Object.entries(keys).map(([id, hex]) => ({
    id,
    key: new Uint8Array(Buffer.from(hex, 'hex')),
  }))
  const machine = new KeyValues()
  const counts = { signs: 0, verifies: 0 }
  const node = (await createNode<never>({
    ...{ id, cluster, machine: machine as never, members },
    ...{ storage: storageOf(storage, directory), transport: transportOf(transport) },
    protocol: certifiedRaft({ members: voters, digest: sha256 }),
    signatures: counted(ed25519(pem), counts),
    timing: { electionTimeout },
  })) as unknown as Node
  node.on('stopped', ({ error }) => {
    console.error(error)
    process.exit(1)
  })
  let end = async () => {}
  let from = { ...counts }
  const begin = async () => {
    from = { ...counts }
    if (profile !== undefined) end = await beginProfile(profileFile(profile, `${id}-${node.status().role}`))
  }
  const used = async (): Promise<Sample> => {
    await end()
    return { signs: counts.signs - from.signs, verifies: counts.verifies - from.verifies }
  }

  context.tell({ type: 'answer', answer: null })
  let closing = false
  return answer<Request>(context, async (request) => {
    switch (request.type) {
      case 'status': {
        const { role, term, leader = null, machineApplied } = node.status()
        return { role, term, leader, applied: machineApplied, puts: machine.puts } satisfies MemberStatus
      }
      case 'run': {
        const { work, watched } = request
        const clients = new Clients(voters, work.outstanding, work.batch)
        clients.prepare(work.prepared)
        const target: Target = {
          finished: () => {},
          issue: (slot) =>
            void node.submit(clients.request(slot)).then(
              () => target.finished(slot, true),
              () => target.finished(slot, false),
            ),
        }
        let own: Promise<Sample> = Promise.resolve({})
        const sample = await measured(target, work, watched, (edge) => {
          if (edge === 'begin') void begin()
          else own = used()
          context.tell({ type: 'edge', edge })
        })
        return { ...sample, ...(await own), late: clients.late }
      }
      case 'edge':
        if (request.edge === 'begin') return begin()
        return used()
      case 'first-put':
        return firstPut(node)
      case 'close':
        if (!closing) await node.close()
        closing = true
        return null
    }
  })
}

/** What this node itself proposes, under its own key, whatever became of those before, until one is acknowledged. */
async function firstPut(node: Node): Promise<null> {
  const data = new TextEncoder().encode('k0000000x')
  for (;;) {
    try {
      await node.propose(data, { timeout: 10_000 })
      return null
    } catch {}
  }
}

function counted(signatures: Signatures, counts: { signs: number; verifies: number }): Signatures {
  return {
    key: signatures.key,
    sign(bytes) {
      counts.signs++
      return signatures.sign(bytes)
    },
    verify(checks) {
      counts.verifies += checks.length
      return signatures.verify(checks)
    },
  }
}
