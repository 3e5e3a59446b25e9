import { Reader, readRecord, recordKind, toHex } from '@raftkit/bytes'
import type { Member, NodeId, Role } from '@raftkit/contract'
import type { Content } from './content.ts'

export interface Entry {
  /** Equal for equal records. */
  readonly id: number
  readonly term: number
  readonly kind: number
  readonly command: string
  /** Which proposal it is; 0: none. */
  readonly proposal: number
  readonly members: readonly Voter[] | undefined
}

export type Voter = Pick<Member, 'id' | 'incarnation' | 'role'>

/** A log as the invariants see it: entries `first` …, and an id that is equal for equal logs. */
export interface Log {
  readonly id: number
  readonly first: number
  readonly entries: readonly Entry[]
}

const roles: readonly Role[] = ['voter', 'incoming', 'outgoing', 'demoted', 'learner', 'joining', 'leaving', 'retiring']
const text = new TextDecoder()

/** Gives logs and entries their ids. */
export class Logs {
  readonly all: Log[] = []
  readonly entries: Entry[] = []
  readonly #entries = new Map<string, Entry>()
  readonly #logs = new Map<string, Log>()

  of({ first, records }: Content): Log {
    const entries = records.map((record) => this.#entry(record))
    const key = `${first}/${entries.map(({ id }) => id).join()}`
    const known = this.#logs.get(key)
    if (known !== undefined) return known
    const log = { id: this.all.length, first, entries }
    this.#logs.set(key, log)
    this.all.push(log)
    return log
  }

  #entry(record: Uint8Array): Entry {
    const key = toHex(record)
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const { kind, term, seed, payload } = readRecord(record, 0)
    const entry = {
      id: this.entries.length,
      term,
      kind,
      command: kind === recordKind.command ? text.decode(payload) : '',
      proposal: kind === recordKind.command ? seed : 0,
      members: kind === recordKind.config ? membersIn(payload) : undefined,
    }
    this.#entries.set(key, entry)
    this.#entries.set(key, entry)
    this.entries.push(entry)
    return entry
  }
}

/** A configuration, read again from the bytes of its entry. */
function membersIn(payload: Uint8Array): Voter[] {
  const reader = new Reader(payload)
  reader.u8()
  reader.u32()
  const members: Voter[] = []
  for (let left = reader.u32(); left > 0; left--) {
    const id: NodeId = reader.text()
    reader.text()
    members.push({ id, incarnation: reader.text(), role: roles[reader.u8()]! })
  }
  return members
}
