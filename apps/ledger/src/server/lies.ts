import { UsageError } from '@raftkit/app-kv'
import type { Message } from '@raftkit/bft'
import type { AnsweringMember } from '@raftkit/bft-client'
import { behaviours, byzantine, faults, type Lies } from '@raftkit/byzantine'
import type { ProtocolKind } from '@raftkit/contract'
import { sha256 } from '@raftkit/ed25519'
import { type Genesis, trustOf, votersOf } from '../genesis.ts'

/** What a member does wrong, for trials: to the others, to clients, or both. */
export interface Lie {
  /** For people. */
  readonly does: string
  readonly protocol: (honest: ProtocolKind<Message>) => ProtocolKind<Message>
  readonly answers?: (honest: AnsweringMember) => Partial<AnsweringMember>
}

type Name = keyof typeof behaviours

/** To clients: nothing that it says of what it executed is true. */
const falseAnswers: NonNullable<Lie['answers']> = ({ submit }) => ({
  submit: async (...given) => {
    const { index, results } = await submit(...given)
    return { index: index + 1, results: results.map((result) => result.map((byte) => byte ^ 1)) }
  },
})

/** Faults of the catalogue by their numbers, as `F1` or `F1,F4`. `did`: told of each lie. Throws `UsageError`. */
export function lieOf(names: string, genesis: Genesis, did: (fault: string) => void): Lie {
  const chosen = names.split(',')
  const unknown = chosen.find((name) => !Object.hasOwn(behaviours, name))
  if (unknown !== undefined)
    throw new UsageError(`--lie knows no ${JSON.stringify(unknown)}: ${Object.keys(behaviours).join(', ')}`)
  const { operators } = trustOf(genesis).epochs[0]!
  const acts: Lies = {
    members: votersOf(genesis),
    ...(operators && { operators }),
    digest: sha256,
    did,
    behaviours: chosen.map((name) => behaviours[name as Name]!),
  }
  return {
    does: chosen.map((name) => faults[name as Name].what).join('; '),
    protocol: (honest) => byzantine(honest, acts),
    ...(chosen.includes('F40') && { answers: falseAnswers }),
  }
}
