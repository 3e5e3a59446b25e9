import { UsageError } from '@raftkit/app-kv'
import type { AnsweringMember } from '@raftkit/bft-client'
import type { ProtocolKind } from '@raftkit/contract'

/** What a member does wrong, for trials: to the others, to clients, or both. */
export interface Lie {
  /** For people. */
  readonly does: string
  readonly protocol?: (honest: ProtocolKind) => ProtocolKind
  readonly answers?: (honest: AnsweringMember) => Partial<AnsweringMember>
}

const lies: Readonly<Record<string, Lie>> = {
  answers: {
    does: 'it tells clients other results and positions than the true ones',
    answers: ({ submit }) => ({
      submit: async (...given) => {
        const { index, results } = await submit(...given)
        return { index: index + 1, results: results.map((result) => result.map((byte) => byte ^ 1)) }
      },
    }),
  },
}

/** Throws `UsageError`. */
export function lieNamed(name: string): Lie {
  const lie = Object.hasOwn(lies, name) ? lies[name] : undefined
  if (lie === undefined) throw new UsageError(`--lie is one of ${Object.keys(lies).join(', ')}`)
  return lie
}
