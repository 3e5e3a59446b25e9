import { Reader, Writer } from '@raftkit/bytes'
import { type Index, isRaftkitError, RaftkitError } from '@raftkit/contract'
import { type Certificate, certificateChecks, flawOfCertificate } from './certificate.ts'
import { maybe, optional, readStep, writeStep } from './encoding.ts'
import { type Entry, headerBytes, headerHash, itemsRoot } from './entry.ts'
import { type Digest, type Hash, hashOf, rawHash } from './hash.ts'
import { Members, type Operators, type Voter } from './members.ts'
import { signatureLimit } from './request.ts'
import type { Check } from './statement.ts'

/*
 * Membership (S6). An epoch ends with a configuration entry: nothing follows it there, and once committed it is the genesis of the next epoch,
 * in which its members alone vote. Any change of the set is safe, since no quorum of one epoch is ever counted in another.
 */

/** What operators sign: who votes after the epoch that it ends. */
export interface Configuration {
  readonly epoch: number
  readonly members: readonly Voter[]
  readonly operators: Operators | undefined
}

/** By operator, rising, as many as the threshold of the epoch asks for. */
export interface Approval {
  readonly operator: number
  readonly signature: Uint8Array
}

/** How an epoch ended: its configuration entry, and the certificate that committed it. */
export interface Step {
  readonly entry: Entry
  readonly certificate: Certificate
}

const configurationFormat = 1
const keyLimit = 128
const idLimit = 256
const addressLimit = 1024

/** The item of a configuration entry. */
export function encodeConfiguration(configuration: Configuration, approvals: readonly Approval[]): Uint8Array {
  const writer = writeClaim(new Writer(1024).u8(configurationFormat), configuration).u32(approvals.length)
  for (const { operator, signature } of approvals) writer.u8(operator).bytes(signature)
  return writer.finish()
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. */
export function decodeConfiguration(bytes: Uint8Array): {
  readonly configuration: Configuration
  readonly approvals: readonly Approval[]
} {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== configurationFormat)
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `configuration format ${format}; this version reads ${configurationFormat}`,
    )
  const epoch = reader.u64()
  const members = Array.from({ length: reader.count(8) }, () => ({
    id: reader.text(idLimit),
    key: reader.bytes(keyLimit),
    ...maybe(reader, () => ({ address: reader.text(addressLimit) })),
  }))
  const operators = maybe(reader, () => ({
    threshold: reader.u32(),
    keys: Array.from({ length: reader.count(4) }, () => reader.bytes(keyLimit)),
  }))
  const approvals = Array.from({ length: reader.count(5) }, () => ({
    operator: reader.u8(),
    signature: reader.bytes(signatureLimit),
  }))
  reader.end()
  return { configuration: { epoch, members, operators }, approvals }
}

/** `domain`: of the epoch that ends, so that an approval is used once, in one cluster. */
export function configurationStatement(digest: Digest, domain: Hash, configuration: Configuration): Uint8Array {
  const claim = hashOf(digest, 'raftkit configuration 1', writeClaim(new Writer(1024), configuration).finish())
  return new Writer(128).text('raftkit configuration 1').raw(rawHash(domain)).raw(rawHash(claim)).finish()
}

/** What is wrong with the item of a configuration entry before any signature is looked at (F35), or undefined. */
export function flawOfConfiguration(digest: Digest, members: Members, item: Uint8Array): string | undefined {
  try {
    const { configuration, approvals } = decodeConfiguration(item)
    const { operators } = members
    if (configuration.epoch !== members.epoch) return `it ends epoch ${configuration.epoch}, not ${members.epoch}`
    if (operators === undefined) return 'nobody may change the members of this cluster'
    if (approvals.length !== operators.threshold)
      return `${approvals.length} operators approve where ${operators.threshold} are due`
    if (approvals.some(({ operator }, at) => operator <= (approvals[at - 1]?.operator ?? -1)))
      return 'its operators do not rise'
    if (approvals.some(({ operator }) => operator >= operators.keys.length)) return 'it names an operator that is none'
    const { list } = new Members(
      digest,
      members.epoch + 1,
      configuration.members,
      members.genesis,
      configuration.operators,
    )
    if (list.some(({ id }, at) => id !== configuration.members[at]!.id)) return 'its members are not in order'
    // Who comes has what was executed from whoever stays: one of them must be honest.
    if (list.filter(({ id, key }) => members.signer(id, key) !== undefined).length <= members.faults)
      return `at least ${members.faults + 1} of the members must stay: change the others later`
    return undefined
  } catch (error) {
    if (isRaftkitError(error)) return error.message
    throw error
  }
}

/** Of an item without a flaw. */
export function configurationChecks(digest: Digest, members: Members, item: Uint8Array): Check[] {
  const { configuration, approvals } = decodeConfiguration(item)
  const bytes = configurationStatement(digest, members.domain, configuration)
  return approvals.map(({ operator, signature }) => ({ key: members.operators!.keys[operator]!, bytes, signature }))
}

/** Who votes behind that entry, which must have been committed. */
export function nextMembers(digest: Digest, members: Members, { header, items }: Entry): Members {
  const { configuration } = decodeConfiguration(items[0]!)
  const genesis = { index: header.index, hash: headerHash(digest, header) }
  return new Members(digest, members.epoch + 1, configuration.members, genesis, configuration.operators)
}

/** What is wrong with a step before any signature is looked at, or undefined. */
export function flawOfStep(digest: Digest, members: Members, { entry, certificate }: Step): string | undefined {
  const { header, items } = entry
  if (certificate.phase !== 'commit' || certificate.place.hash !== headerHash(digest, header))
    return 'it does not commit its entry'
  if (header.kind !== 'config' || header.epoch !== members.epoch || certificate.place.index !== header.index)
    return 'it does not end its epoch'
  if (items.length !== 1 || header.root !== itemsRoot(digest, items)) return 'its items are not those of the header'
  return flawOfCertificate(members, certificate) ?? flawOfConfiguration(digest, members, items[0]!)
}

/**
 * Who votes now, for whoever knows the founders alone (F38): each step is certified by the members that the one before it names, so nobody
 * need be trusted. Undefined: the steps do not follow, or something was not signed.
 */
export function verifyEpochs(
  founders: Members,
  steps: readonly Step[],
  { digest, verify }: { digest: Digest; verify: (checks: readonly Check[]) => readonly boolean[] },
): Members | undefined {
  const followed = followEpochs(digest, founders, steps)
  if (followed === undefined) return undefined
  const flags = verify(followed.checks)
  return flags.length === followed.checks.length && flags.every(Boolean) ? followed.members.at(-1) : undefined
}

const stepsFormat = 1

/** What a node's receipt for a configuration is: how each epoch ended until then. */
export function encodeSteps(steps: readonly Step[]): Uint8Array {
  const writer = new Writer(1024).u8(stepsFormat).u32(steps.length)
  for (const step of steps) writeStep(writer, step)
  return writer.finish()
}

/**
 * Who votes in each epoch, the founders' first, by a node's receipt for its configuration: what operators sign the next one for, and by whom receipts
 * of any epoch are believed (`Trust`). Throws `REFUSED` if it proves nothing, `MALFORMED` or `UNKNOWN_FORMAT` if it is none.
 */
export function readEpochs(
  founders: Members,
  receipt: Uint8Array,
  { digest, verify }: { digest: Digest; verify: (checks: readonly Check[]) => readonly boolean[] },
): readonly Members[] {
  const { epochs, checks } = epochsIn(founders, receipt, digest)
  checkEpochs(checks, verify(checks))
  return epochs
}

/** What such a receipt says, and the signatures on which that stands: it is proved if every check holds. Throws as `readEpochs`. */
export function epochsIn(
  founders: Members,
  receipt: Uint8Array,
  digest: Digest,
): {
  readonly epochs: readonly Members[]
  /** Of the record of the last configuration. */
  readonly position: Index
  readonly checks: readonly Check[]
} {
  const reader = new Reader(receipt)
  const format = reader.u8()
  if (format !== stepsFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `epochs format ${format}; this version reads ${stepsFormat}`)
  const steps = Array.from({ length: reader.count(headerBytes) }, () => readStep(reader))
  reader.end()
  const followed = followEpochs(digest, founders, steps)
  if (followed === undefined) throw unproven()
  return { epochs: followed.members, position: (steps.at(-1)?.entry.header.position ?? 0) + 1, checks: followed.checks }
}

/** Throws `REFUSED` unless all checks of such a receipt hold. `valid`: one flag for each, in their order. */
export function checkEpochs(checks: readonly Check[], valid: readonly boolean[]): void {
  if (checks.some((_, at) => valid[at] !== true)) throw unproven()
}

const unproven = (): RaftkitError => new RaftkitError('REFUSED', 'this receipt does not prove how the members changed')

/** The members of each epoch, if these are signatures. */
export function followEpochs(
  digest: Digest,
  from: Members,
  steps: readonly Step[],
): { readonly members: readonly Members[]; readonly checks: readonly Check[] } | undefined {
  const members = [from]
  const checks: Check[] = []
  for (const step of steps) {
    const last = members.at(-1)!
    if (flawOfStep(digest, last, step) !== undefined) return undefined
    checks.push(...certificateChecks(last, step.certificate))
    members.push(nextMembers(digest, last, step.entry))
  }
  return { members, checks }
}

function writeClaim(writer: Writer, { epoch, members, operators }: Configuration): Writer {
  writer.u64(epoch).u32(members.length)
  for (const { id, key, address } of members) optional(writer.text(id).bytes(key), address, (to, text) => to.text(text))
  optional(writer, operators, (to, { threshold, keys }) => {
    to.u32(threshold).u32(keys.length)
    for (const key of keys) to.bytes(key)
  })
  return writer
}
