import { type Answer, type Index, RaftkitError, type SnapshotPoint } from '@raftkit/contract'
import { encodeHead, type Held, pageBytes } from './base.ts'
import type { Node } from './branches.ts'
import { assemble, type Signature } from './certificate.ts'
import { type Checkpoint, type CheckpointCertificate, checkpointStatement, isSame } from './checkpoint.ts'
import { span } from './entry.ts'
import { forgetTerms } from './halting.ts'
import type { Hash } from './hash.ts'
import { leaf, Merkle } from './merkle.ts'
import type { Message } from './messages.ts'
import type { Server } from './server.ts'
import type { Check } from './statement.ts'

/** A member's word for a state, as it arrived. */
export interface CheckpointVote extends Signature {
  readonly checkpoint: Checkpoint
  readonly isVerified: boolean
}

/** A checkpoint of this member's own that is being made: the machine is written down, then its pages are hashed. */
interface Taking {
  readonly checkpoint: Omit<Checkpoint, 'root'>
  readonly head: Uint8Array
  readonly snapshot: SnapshotPoint | undefined
  /** Bytes of the snapshot that are hashed, or wait in `rest` until a page is full. */
  readonly read: number
  readonly rest: Uint8Array
  readonly leaves: readonly Hash[]
}

/** Of each member, the newest so many are kept: what a liar says of others is of no use, and takes no room. */
const mostVotes = 4
/** At once; a member that is slower than its entries leaves checkpoints out. */
const mostTaken = 2
const readBytes = 8 * pageBytes

/** What this member holds, makes and hears of checkpoints (§3.7). Nothing that is put in is altered. */
export class Checkpoints {
  /** Its own, on its disk, by index: the stable one, the one before, which the tree begins with, and those that are not certified yet. */
  held: Map<Index, Held> = new Map()
  taking: Map<Index, Taking> = new Map()
  votes: Map<number, ReadonlyMap<Index, CheckpointVote>> = new Map()
  /** Certified, and not held yet. */
  awaited: CheckpointCertificate | undefined
  /** The write that names the stable one: until it is durable the disk names the one before, and a crash would begin there. */
  namedBy = 0

  fork(): Checkpoints {
    const copy = new Checkpoints()
    copy.held = new Map(this.held)
    copy.taking = new Map(this.taking)
    copy.votes = new Map(this.votes)
    copy.awaited = this.awaited
    copy.namedBy = this.namedBy
    return copy
  }
}

function isDue({ settings: { checkpointEntries = 0 } }: Server, index: Index): boolean {
  return checkpointEntries > 0 && index > 0 && index % checkpointEntries === 0
}

/** The entry was committed: every K-th is a checkpoint. */
export function beginCheckpoint(server: Server, { hash, entry }: Node): void {
  const { checkpoints, asking, used } = server
  const { epoch, index } = entry.header
  if (!isDue(server, index)) return
  if (checkpoints.held.has(index) || checkpoints.taking.size >= mostTaken) return
  const position = entry.header.position + span(entry)
  const head = encodeHead({ entry, used })
  const checkpoint = { epoch, index, hash, position }
  checkpoints.taking.set(index, {
    ...{ checkpoint, head, snapshot: undefined, read: 0, rest: head, leaves: [] },
  })
  asking.ask({ type: 'takeSnapshot', index: position }, { type: 'taken', index })
}

/** The machine is written down, or some of it was read. A failure costs this one checkpoint: others may be certified without it. */
export function onTaken(server: Server, index: Index, answer: Answer): void {
  const { checkpoints, asking } = server
  const taking = checkpoints.taking.get(index)
  if (taking === undefined) return
  let next: Taking
  if (answer.type === 'takeSnapshot') next = { ...taking, snapshot: answer.snapshot }
  else if (answer.type === 'readSnapshot' && answer.bytes.length > 0) next = hashed(server, taking, answer.bytes)
  else return void checkpoints.taking.delete(index)
  const { snapshot, read } = next
  if (snapshot === undefined || read < snapshot.bytes) {
    checkpoints.taking.set(index, next)
    const { name } = snapshot!
    return asking.ask({ type: 'readSnapshot', name, offset: read, maxBytes: readBytes }, { type: 'read', index })
  }
  checkpoints.taking.delete(index)
  const { digest } = server.settings
  const leaves = next.rest.length > 0 ? [...next.leaves, leaf(digest, next.rest)] : next.leaves
  const checkpoint = { ...next.checkpoint, root: new Merkle(digest, leaves).root }
  hold(server, { checkpoint, snapshot, head: next.head, leaves })
  say(server, checkpoint)
  const { awaited } = checkpoints
  if (awaited !== undefined && awaited.checkpoint.index <= index) onCheckpointed(server, awaited)
}

/** Its word for a state of its epoch, if it is one of those who vote in it. */
export function say(server: Server, checkpoint: Checkpoint): void {
  if (server.me >= 0 && checkpoint.epoch === server.members.epoch) server.owe({ type: 'checkpoint', checkpoint })
}

export function hold(server: Server, held: Held): void {
  server.checkpoints.held.set(held.checkpoint.index, held)
  server.journal.add({ type: 'held', key: held.checkpoint.root, held })
}

function hashed(server: Server, taking: Taking, bytes: Uint8Array): Taking {
  const { digest } = server.settings
  const all = joined(taking.rest, bytes)
  const leaves = [...taking.leaves]
  let at = 0
  for (; all.length - at >= pageBytes; at += pageBytes) leaves.push(leaf(digest, all.subarray(at, at + pageBytes)))
  return { ...taking, read: taking.read + bytes.length, rest: all.slice(at), leaves }
}

export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all
}

/** Another member's word: counted when its own sender brings it, and looked at when a quorum says the same. */
export function onCheckpoint(
  server: Server,
  signer: number,
  { checkpoint, signature }: Extract<Message, { type: 'checkpoint' }>,
): void {
  const { epoch, index } = checkpoint
  if (epoch !== server.members.epoch || !isDue(server, index)) return
  const { stable, members } = server
  // What a quorum said of it is said no more: whoever comes to it late would wait for the next one.
  if (stable !== undefined && index <= stable.certificate.checkpoint.index)
    return server.send(members.list[signer]!.id, { type: 'checkpointed', certificate: stable.certificate })
  countCheckpoint(server, { signer, checkpoint, signature, isVerified: false })
}

export function countCheckpoint(server: Server, vote: CheckpointVote): void {
  const { checkpoints, stable } = server
  const { index } = vote.checkpoint
  if (index <= (stable?.certificate.checkpoint.index ?? 0)) return
  const votes = new Map(checkpoints.votes.get(vote.signer))
  const before = votes.get(index)
  if (before !== undefined && (before.isVerified || !isSame(before.checkpoint, vote.checkpoint))) return
  votes.set(index, vote)
  const lowest = Math.min(...votes.keys())
  if (votes.size > mostVotes) votes.delete(lowest)
  checkpoints.votes.set(vote.signer, votes)
  weigh(server, vote.checkpoint)
}

function weigh(server: Server, checkpoint: Checkpoint): void {
  const { members, checkpoints, asking, stable } = server
  if (checkpoint.index <= (stable?.certificate.checkpoint.index ?? 0)) return
  const all = [...checkpoints.votes.values()].flatMap((votes) => votes.get(checkpoint.index) ?? [])
  const same = all.filter((vote) => isSame(vote.checkpoint, checkpoint))
  const verified = same.filter(({ isVerified }) => isVerified)
  const signatures = assemble(members, verified)
  if (signatures !== undefined) {
    const bare = signatures.map(({ signer, signature }) => ({ signer, signature }))
    return onCheckpointed(server, { checkpoint, signatures: bare })
  }
  const open = same.filter(({ isVerified }) => !isVerified)
  if (same.length >= members.quorum && !asking.isFor('checkpointVotes')) {
    const bytes = checkpointStatement(members.domain, checkpoint)
    const votes = open.slice(0, members.quorum - verified.length)
    const checks: Check[] = votes.map(({ signer, signature }) => ({ key: members.list[signer]!.key, bytes, signature }))
    return server.verify(checks, { type: 'checkpointVotes', votes })
  }
  // Honest members that agree would be a quorum by themselves: here they do not (F41).
  const most = Math.max(...all.map((one) => all.filter((other) => isSame(one.checkpoint, other.checkpoint)).length))
  if (most + members.list.length - all.length < members.quorum) throw differs(checkpoint)
}

export function onCheckpointVotes(server: Server, votes: readonly CheckpointVote[], valid: readonly boolean[]): void {
  const { checkpoints } = server
  for (const [at, vote] of votes.entries()) {
    const { index } = vote.checkpoint
    const known = new Map(checkpoints.votes.get(vote.signer))
    if (known.get(index)?.signature !== vote.signature) continue
    if (valid[at]) known.set(index, { ...vote, isVerified: true })
    else known.delete(index)
    checkpoints.votes.set(vote.signer, known)
  }
  // Others may have come to a quorum meanwhile.
  const open = new Map([...checkpoints.votes.values()].flatMap((known) => [...known]))
  for (const { checkpoint } of open.values()) weigh(server, checkpoint)
}

/** Verified. Whoever holds the same prunes; whoever holds another state is wrong, or everybody else is. */
export function onCheckpointed(server: Server, certificate: CheckpointCertificate): void {
  const { checkpoints, tree, committed, stable } = server
  const { checkpoint } = certificate
  const { index, hash } = checkpoint
  if (index <= (stable?.certificate.checkpoint.index ?? 0)) return
  const held = checkpoints.held.get(index)
  if (held !== undefined) {
    if (!isSame(held.checkpoint, checkpoint)) throw differs(checkpoint)
    return stabilise(server, certificate, held)
  }
  if (
    index <= committed.entry.header.index &&
    index > tree.root.entry.header.index &&
    !tree.holds(hash, committed.hash)
  )
    throw differs(checkpoint)
  if (index > (checkpoints.awaited?.checkpoint.index ?? 0)) checkpoints.awaited = certificate
}

/** What lies before the checkpoint before this one goes: whoever is a little behind shall find entries, and not fetch a whole state. */
export function stabilise(server: Server, certificate: CheckpointCertificate, { snapshot }: Held): void {
  const { checkpoints, tree, journal } = server
  const { index } = certificate.checkpoint
  if ((checkpoints.awaited?.checkpoint.index ?? 0) <= index) checkpoints.awaited = undefined
  const older = [...checkpoints.held.keys()].filter((at) => at < index && at >= tree.root.entry.header.index)
  const before = older.length > 0 ? checkpoints.held.get(Math.max(...older)) : undefined
  if (before !== undefined) prune(server, before.checkpoint.hash)
  const { index: from } = tree.root.entry.header
  for (const at of checkpoints.held.keys()) if (at < from) checkpoints.held.delete(at)
  server.stable = { certificate, snapshot, from }
  forgetTerms(server, index)
  for (const [signer, votes] of checkpoints.votes)
    checkpoints.votes.set(signer, new Map([...votes].filter(([at]) => at > index)))
  const held = [...checkpoints.held.values()]
  const entries = [...tree].filter((hash) => hash !== tree.root.hash)
  journal.compact([...entries, ...held.map(({ checkpoint }) => checkpoint.root)])
  checkpoints.namedBy = journal.issued + 1
}

/** A write is on the disk. Once it names the stable checkpoint, nothing needs the blobs before it. */
export function onDurable(server: Server, write: number): void {
  const { journal, checkpoints } = server
  const isNamed = journal.durable >= checkpoints.namedBy
  journal.durable = Math.max(journal.durable, write)
  if (!isNamed) retainBlobs(server)
}

/** What nobody needs any more may go. */
export function retainBlobs({ checkpoints, transfer, asking, journal }: Server): void {
  if (journal.durable < checkpoints.namedBy) return
  const taken = [...checkpoints.taking.values()].flatMap(({ snapshot }) => snapshot?.name ?? [])
  const held = [...checkpoints.held.values()].map(({ snapshot }) => snapshot.name)
  asking.ask({ type: 'retain', names: [...held, ...taken].concat(transfer?.name ?? []) }, { type: 'nothing' })
}

/** Votes to come must follow from the last one: that it lies before everything else is remembered. */
function prune(server: Server, root: Hash): void {
  server.tree.prune(root, [server.ballot.tip])
}

const differs = ({ index }: Checkpoint): RaftkitError =>
  new RaftkitError(
    'DIVERGED',
    `the members' states differ behind entry ${index}: the machine does not do the same everywhere, or more than a third of the members are faulty; compare what each of them runs`,
  )
