import { writeFileSync } from 'node:fs'
import { UsageError } from '@raftkit/app-kv'
import {
  type Approval,
  type Configuration,
  configurationStatement,
  encodeConfiguration,
  type Members,
  type Trust,
} from '@raftkit/bft'
import { fromHex, toHex } from '@raftkit/bytes'
import { type PrivateKey, publicKey, sha256, sign, verifyHere } from '@raftkit/ed25519'
import { type Genesis, type Member, memberIn, membersOf, object, operatorsOf, placeOf, readJson } from './genesis.ts'

/** Other members, as operators read them before they sign: a file that goes from one to the next, or a copy to each. */
export interface Exchange {
  readonly cluster: string
  /** The epoch that it ends. */
  readonly epoch: number
  readonly members: readonly Member[]
  readonly threshold: number
  /** By operator's public key, its signature; both in hex. */
  readonly approvals: Readonly<Record<string, string>>
}

/** Throws `UsageError`: who is to go is no member, who is to come is one already, or has no operator. */
export function proposed(
  genesis: Genesis,
  now: Members,
  {
    leave,
    come,
    threshold = now.operators?.threshold,
  }: { leave: readonly string[]; come: readonly Member[]; threshold?: number | undefined },
): Exchange {
  if (now.operators === undefined || threshold === undefined)
    throw new UsageError('nobody may exchange members of this ledger: its genesis names no operators')
  const before = membersOf(genesis, now)
  const stranger = leave.find((id) => !before.some((member) => member.id === id))
  if (stranger !== undefined)
    throw new UsageError(`--leave ${stranger}: the members are ${before.map(({ id }) => id).join(', ')}`)
  const staying = before.filter(({ id }) => !leave.includes(id))
  const twice = come.find(({ id }) => staying.some((member) => member.id === id))
  if (twice) throw new UsageError(`${twice.id} is a member already: for a new key, let it --leave, too`)
  const without = [...staying, ...come].find(({ operator }) => operator === undefined)
  if (without) throw new UsageError(`${without.id} names no "operator": each organisation has one`)
  const members = [...staying, ...come].sort((a, b) => (a.id < b.id ? -1 : 1))
  return { cluster: genesis.cluster, epoch: now.epoch, members, threshold, approvals: {} }
}

/** Throws `UsageError`. */
export function readExchange(path: string): Exchange {
  const wrong = (what: string) => new UsageError(`${path}: ${what}`)
  const parsed = readJson(path, 'no exchange of members can be read', '"raftkit-ledger members propose" makes one')
  const { cluster, epoch, members, threshold, approvals } = object(parsed) ?? {}
  if (typeof cluster !== 'string' || !Number.isSafeInteger(epoch) || !Number.isSafeInteger(threshold))
    throw wrong('"cluster", "epoch" and "threshold" are a name and two numbers')
  if (!Array.isArray(members)) throw wrong('"members" is a list')
  const signed = Object.entries(object(approvals) ?? {}).map(([key, signature]) => {
    if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature)) throw wrong(`${key} did not sign`)
    return [key, signature] as const
  })
  return {
    ...{ cluster, epoch: epoch as number, members: members.map((member) => memberIn(member, wrong)) },
    ...{ threshold: threshold as number, approvals: Object.fromEntries(signed) },
  }
}

export function writeExchange(path: string, exchange: Exchange): void {
  writeFileSync(path, `${JSON.stringify(exchange, null, 2)}\n`)
}

/** The same, approved of by whoever holds that key, too. Throws `UsageError` if that is no operator, or if it ends an epoch that is not the last. */
export function approved(exchange: Exchange, { epochs }: Trust, key: PrivateKey): Exchange {
  const now = endedBy(exchange, epochs)
  if (!now.operators!.keys.some((known) => toHex(known) === toHex(key.public)))
    throw new UsageError(`${toHex(key.public).slice(0, 8)}… is no operator's key: see "raftkit-ledger members"`)
  const signature = sign(key, configurationStatement(sha256, now.domain, configurationOf(exchange)))
  return { ...exchange, approvals: { ...exchange.approvals, [toHex(key.public)]: toHex(signature) } }
}

/** As members take it, from copies that operators approved of. Throws `UsageError`: they differ, or too few signed. */
export function signedBy(copies: readonly Exchange[], { epochs }: Trust): Uint8Array {
  const [exchange] = copies as [Exchange]
  const now = endedBy(exchange, epochs)
  const configuration = configurationOf(exchange)
  const statement = configurationStatement(sha256, now.domain, configuration)
  if (copies.some((copy) => toHex(statementOf(copy, now)) !== toHex(statement)))
    throw new UsageError('these files are not copies of one exchange')
  const given = Object.assign({}, ...copies.map(({ approvals }) => approvals)) as Exchange['approvals']
  const { keys, threshold } = now.operators!
  const approvals = keys.flatMap((key, operator): Approval[] => {
    const hex = given[toHex(key)]
    if (hex === undefined) return []
    const signature = fromHex(hex)
    return verifyHere([{ key, bytes: statement, signature }])[0] ? [{ operator, signature }] : []
  })
  if (approvals.length < threshold)
    throw new UsageError(`${approvals.length} operators approve of this exchange, and ${threshold} are due`)
  return encodeConfiguration(configuration, approvals.slice(0, threshold))
}

const statementOf = (exchange: Exchange, now: Members): Uint8Array =>
  configurationStatement(sha256, now.domain, configurationOf(exchange))

/** What is signed: of all that the file says, only its approvals are not in it. */
const configurationOf = ({ epoch, members, threshold }: Exchange): Configuration => ({
  epoch,
  members: [...members]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((member) => ({ id: member.id, key: publicKey(member.key), address: placeOf(member) })),
  operators: operatorsOf(members, threshold),
})

function endedBy({ epoch }: Exchange, epochs: readonly Members[]): Members {
  const now = epochs.at(-1)!
  if (epoch !== now.epoch)
    throw new UsageError(
      `it ends epoch ${epoch}, and the last that is known is ${now.epoch}: see "raftkit-ledger members"`,
    )
  if (now.operators === undefined)
    throw new UsageError('nobody may exchange members of this ledger: its genesis names no operators')
  return now
}
