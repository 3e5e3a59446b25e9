import { readFileSync } from 'node:fs'
import { UsageError } from '@raftkit/app-kv'
import { founding, type Members, type Operators, type Trust, type Voter } from '@raftkit/bft'
import { toHex } from '@raftkit/bytes'
import type { NodeId } from '@raftkit/contract'
import { publicKey, sha256 } from '@raftkit/ed25519'

/** What all organisations have to have in common, and in the same words: who founded the ledger, by what keys, and where. */
export interface Genesis {
  readonly cluster: string
  readonly members: readonly Member[]
  /** So many operators exchange members, one for each organisation. Absent: nobody ever does. */
  readonly threshold?: number
  /** Names for the keys of those who write, for people to read. They decide nothing. */
  readonly authors: Readonly<Record<string, string>>
}

/** What an organisation shows of itself to all. */
export interface Member {
  readonly id: NodeId
  /** Its member's public key, in hex. */
  readonly key: string
  /** `host:port`, where members reach each other. */
  readonly address: string
  /** `https://host:port`, where clients reach it. */
  readonly url: string
  /** The public key by which it approves of other members, in hex. */
  readonly operator?: string
}

const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Throws `UsageError`. */
export function readGenesis(path: string): Genesis {
  const wrong = (what: string) => new UsageError(`${path}: ${what}`)
  const parsed = readJson(path, 'the genesis file cannot be read', '"raftkit-ledger keys" makes one')
  const { cluster, members, threshold, authors = {} } = object(parsed) ?? {}
  if (typeof cluster !== 'string' || !name.test(cluster)) throw wrong('"cluster" is a name')
  if (!Array.isArray(members) || members.length < 4) throw wrong('"members" are four at least: fewer stand no liar')
  const listed = members.map((member) => memberIn(member, wrong))
  if (threshold !== undefined && !(Number.isSafeInteger(threshold) && listed.every(({ operator }) => operator)))
    throw wrong('"threshold" is a number of operators, and each member names one as "operator"')
  const named = Object.entries(object(authors) ?? {}).map(([who, key]) => {
    if (typeof key !== 'string') throw wrong(`the key of ${who} is 64 hex digits`)
    publicKey(key)
    return [who, key.toLowerCase()] as const
  })
  return {
    ...{ cluster, members: listed, authors: Object.fromEntries(named) },
    ...(threshold !== undefined && { threshold: threshold as number }),
  }
}

/** What an organisation that comes later shows of itself. Throws `UsageError`. */
export const readMember = (path: string): Member =>
  memberIn(
    readJson(path, 'no member can be read', '"raftkit-ledger keys --add" makes one'),
    (what) => new UsageError(`${path}: ${what}`),
  )

export function memberIn(value: unknown, wrong: (what: string) => UsageError): Member {
  const { id, key, address, url, operator } = object(value) ?? {}
  if (typeof id !== 'string' || !name.test(id)) throw wrong('each of the members has a name as "id"')
  if (typeof key !== 'string') throw wrong(`${id} has no public key as "key"`)
  publicKey(key)
  if (typeof address !== 'string' || !/^\S+:\d{1,5}$/.test(address)) throw wrong(`${id}: "address" is host:port`)
  if (typeof url !== 'string' || !URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw wrong(`${id}: "url" is https://host:port`)
  if (operator !== undefined && typeof operator !== 'string') throw wrong(`${id}: "operator" is a public key`)
  if (operator !== undefined) publicKey(operator)
  return { id, key: key.toLowerCase(), address, url, ...(operator && { operator: operator.toLowerCase() }) }
}

/** The members with their keys, as the protocol takes them. */
export const votersOf = ({ members }: Genesis): { id: NodeId; key: Uint8Array }[] =>
  members.map(({ id, key }) => ({ id, key: publicKey(key) }))

/** Who may exchange members: one of each organisation, in the order of their names. */
export const operatorsOf = (members: readonly Member[], threshold: number): Operators => ({
  threshold,
  keys: [...members].sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ operator }) => publicKey(operator!)),
})

/** All that is needed to verify receipts and evidence of the founders, offline; of later members with what proves how they came to be (`knownEpochs`). */
export function trustOf(genesis: Genesis): Trust {
  const { cluster, threshold, members: listed } = genesis
  const operators = threshold === undefined ? undefined : operatorsOf(listed, threshold)
  const { members } = founding(sha256, {
    ...{ cluster, group: 'main', members: votersOf(genesis) },
    ...(operators && { operators }),
  })
  return { digest: sha256, epochs: [members] }
}

/** As one text, where a configuration has one for each member: where members reach it, and where clients do. */
export const placeOf = ({ address, url }: Member): string => `${address} ${url}`
export const addressIn = (place: string): string => place.split(' ')[0]!
export const urlIn = (place: string): string => place.split(' ')[1] ?? ''

/** The members of an epoch, by id: where founders are, the genesis says. */
export function membersOf(genesis: Genesis, { list, operators }: Members): Member[] {
  const place = ({ id, address }: Voter): string =>
    address ?? placeOf(genesis.members.find((member) => member.id === id)!)
  return list.map((voter, at) => ({
    ...{ id: voter.id, key: toHex(voter.key), address: addressIn(place(voter)), url: urlIn(place(voter)) },
    ...(operators?.keys[at] && { operator: toHex(operators.keys[at]) }),
  }))
}

/** The name of whoever has this key, or the beginning of the key. */
export function whose({ authors, members }: Genesis, key: Uint8Array | string): string {
  const hex = typeof key === 'string' ? key : toHex(key)
  const author = Object.entries(authors).find(([, known]) => known === hex)?.[0]
  return author ?? members.find((member) => member.key === hex)?.id ?? (hex === '' ? '-' : `${hex.slice(0, 8)}…`)
}

/** Throws `UsageError`. */
export function readJson(path: string, cannot: string, hint: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new UsageError(`${path}: ${cannot} (${(error as Error).message}): ${hint}`)
  }
}

export const object = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
