import { readFileSync } from 'node:fs'
import { UsageError } from '@raftkit/app-kv'
import { founding, type Trust } from '@raftkit/bft'
import { toHex } from '@raftkit/bytes'
import type { NodeId } from '@raftkit/contract'
import { publicKey, sha256 } from '@raftkit/ed25519'

/** What all organisations have to have in common, and in the same words: who the members are, by what keys, and where. */
export interface Genesis {
  readonly cluster: string
  readonly members: readonly GenesisMember[]
  /** Names for the keys of those who write, for people to read. They decide nothing. */
  readonly authors: Readonly<Record<string, string>>
}

export interface GenesisMember {
  readonly id: NodeId
  /** Its public key, in hex. */
  readonly key: string
  /** `host:port`, where members reach each other. */
  readonly address: string
  /** `https://host:port`, where clients reach it. */
  readonly url: string
}

const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Throws `UsageError`. */
export function readGenesis(path: string): Genesis {
  const wrong = (what: string) => new UsageError(`${path}: ${what}`)
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw wrong(`the genesis file cannot be read (${(error as Error).message}): "raftkit-ledger keys" makes one`)
  }
  const { cluster, members, authors = {} } = object(parsed) ?? {}
  if (typeof cluster !== 'string' || !name.test(cluster)) throw wrong('"cluster" is a name')
  if (!Array.isArray(members) || members.length < 4) throw wrong('"members" are four at least: fewer stand no liar')
  const listed = members.map((member) => {
    const { id, key, address, url } = object(member) ?? {}
    if (typeof id !== 'string' || !name.test(id)) throw wrong('each of the members has a name as "id"')
    if (typeof key !== 'string') throw wrong(`${id} has no public key as "key"`)
    publicKey(key)
    if (typeof address !== 'string' || !/^.+:\d{1,5}$/.test(address)) throw wrong(`${id}: "address" is host:port`)
    if (typeof url !== 'string' || !URL.canParse(url) || new URL(url).protocol !== 'https:')
      throw wrong(`${id}: "url" is https://host:port`)
    return { id, key: key.toLowerCase(), address, url }
  })
  const named = Object.entries(object(authors) ?? {}).map(([who, key]) => {
    if (typeof key !== 'string') throw wrong(`the key of ${who} is 64 hex digits`)
    publicKey(key)
    return [who, key.toLowerCase()] as const
  })
  return { cluster, members: listed, authors: Object.fromEntries(named) }
}

/** The members with their keys, as the protocol takes them. */
export const votersOf = ({ members }: Genesis): { id: NodeId; key: Uint8Array }[] =>
  members.map(({ id, key }) => ({ id, key: publicKey(key) }))

/** All that is needed to verify receipts and evidence, offline. */
export function trustOf(genesis: Genesis): Trust {
  const { cluster } = genesis
  const { members } = founding(sha256, { cluster, group: 'main', members: votersOf(genesis) })
  return { digest: sha256, epochs: [members] }
}

/** The name of whoever has this key, or the beginning of the key. */
export function whose({ authors, members }: Genesis, key: Uint8Array | string): string {
  const hex = typeof key === 'string' ? key : toHex(key)
  const author = Object.entries(authors).find(([, known]) => known === hex)?.[0]
  return author ?? members.find((member) => member.key === hex)?.id ?? (hex === '' ? '-' : `${hex.slice(0, 8)}…`)
}

const object = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
