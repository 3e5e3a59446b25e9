import type { Bench, Flag } from '../harness/part.ts'
import { adapterFlags, adaptersOf } from './systems/adapters.ts'

/** What is asked of the part, read from its flags. Everything else follows from it. */
export interface Plan {
  readonly systems: readonly SystemName[]
  readonly counts: readonly number[]
  readonly readCounts: readonly number[]
  readonly storage: string
  readonly transport: string
  readonly snapshotEntries: number
  readonly seconds: number
  /** Before the first measurement of a system: its code and ours must be compiled, its caches filled. */
  readonly warmUp: number
  readonly pairs: number
  readonly openRounds: number
  readonly flushCounts: readonly number[]
  /** Let h2load make the same load as our generator, at 256 outstanding. */
  readonly control: boolean
  readonly profile?: string
}

export const systemNames = ['proposals', 'commands', 'kv', 'etcd'] as const
export type SystemName = (typeof systemNames)[number]

/** etcd under clients of which each has a connection of its own, as HTTP/1.1 must: a series beside kv's. */
export const etcdEach = 'etcd-each'
/** kv under clients that have as few connections as etcd's, with as many requests on each: pipelined, as HTTP/1.1 can. */
export const kvPiped = 'kv-piped'

export const words: Readonly<Record<SystemName | typeof etcdEach | typeof kvPiped, string>> = {
  proposals: 'embedded, node.propose',
  commands: 'embedded, node.commands',
  kv: 'apps/kv over HTTP',
  etcd: 'etcd over gRPC',
  [etcdEach]: 'etcd over gRPC, a connection for each',
  [kvPiped]: 'apps/kv over HTTP, pipelined',
}

export const flags: Readonly<Record<string, Flag>> = {
  peer: { type: 'string', what: 'etcd: three members of it, from the system’s packages, in turns with ours' },
  systems: { type: 'string', what: `some of ${systemNames.slice(0, 3).join(',')} (default: all)` },
  counts: { type: 'string', what: 'outstanding puts (default: 1,16,64,256,1000)' },
  reads: { type: 'string', what: 'outstanding reads (default: 1,64,256; 0: none)' },
  open: { type: 'string', what: 'rounds of open loop (default: 3; 0: none)' },
  ...adapterFlags,
  'snapshot-entries': { type: 'string', what: 'entries between snapshots, of etcd, too (default: 100000, as etcd’s)' },
  'no-strace': { type: 'boolean', what: 'do not count flushes by strace' },
  profile: {
    type: 'string',
    what: 'a directory for CPU profiles of the members; figures of such a run are worth little',
  },
}

/** Throws an error for the user. */
export function planOf(bench: Bench): Plan {
  const { flags, quick, seconds, pairs } = bench
  const text = (flag: string, otherwise: string) => (flags[flag] as string | undefined) ?? otherwise
  const numbers = (flag: string, otherwise: string) =>
    text(flag, otherwise)
      .split(',')
      .map((word) => {
        const value = Number(word)
        if (Number.isInteger(value) && value >= 0 && value <= 4000) return value
        throw new Error(`--${flag} is whole numbers up to 4000, with commas between them`)
      })
      .filter((value) => value > 0)
  const peer = flags.peer as string | undefined
  if (peer !== undefined && peer !== 'etcd') throw new Error('--peer is etcd; there is no other yet')
  const systems = text('systems', systemNames.slice(0, 3).join(',')).split(',')
  for (const name of systems)
    if (!systemNames.slice(0, 3).some((known) => known === name))
      throw new Error(`--systems is some of ${systemNames.slice(0, 3).join(', ')}; etcd comes by --peer etcd`)
  const profile = flags.profile as string | undefined
  const counts = numbers('counts', quick ? '1,64' : '1,16,64,256,1000')
  if (counts.length === 0) throw new Error('--counts needs a number above 0')
  const snapshotEntries = Number(text('snapshot-entries', '100000'))
  if (!(Number.isInteger(snapshotEntries) && snapshotEntries > 0))
    throw new Error('--snapshot-entries is a whole number above 0')
  return {
    systems: [...(systems as SystemName[]), ...(peer === 'etcd' ? (['etcd'] as const) : [])],
    counts,
    readCounts: numbers('reads', quick ? '64' : '1,64,256'),
    ...adaptersOf(bench),
    snapshotEntries,
    seconds,
    warmUp: quick ? seconds : 3,
    pairs,
    openRounds: quick ? 0 : (numbers('open', '3')[0] ?? 0),
    flushCounts:
      quick || flags['no-strace'] === true ? [] : [1, 64, 256, 1000].filter((count) => counts.includes(count)),
    control: !quick && peer !== undefined && counts.includes(256),
    ...(profile !== undefined && { profile }),
  }
}
