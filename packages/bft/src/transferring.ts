import type { Answer, NodeId } from '@raftkit/contract'
import { decodeHead, type Held, headLength, pageBytes, pageOf } from './base.ts'
import { Branches } from './branches.ts'
import { type CheckpointCertificate, checkpointChecks, flawOfCheckpoint } from './checkpoint.ts'
import { hold, joined, stabilise } from './checkpointing.ts'
import { holders } from './fetching.ts'
import type { Digest, Hash } from './hash.ts'
import { leaf, Merkle, provesItem } from './merkle.ts'
import type { Message } from './messages.ts'
import type { Server } from './server.ts'
import type { Check } from './statement.ts'
import { membersOf } from './succession.ts'
import { askForNewest } from './terms.ts'

type Page = Extract<Message, { type: 'page' }>
type FetchPages = Extract<Message, { type: 'fetchPages' }>

/** A certified state that is fetched, page by page, each with its proof: from anybody, since nobody need be believed. */
export interface Transfer {
  readonly certificate: CheckpointCertificate
  /** Its place among the holders. */
  readonly peer: number
  /** Peers that were asked since the last page that was right. */
  readonly tries: number
  /** Of the next page. */
  readonly at: number
  readonly leaves: readonly Hash[]
  /** What is there of the head; all of it once there is a name. */
  readonly head: Uint8Array
  /** Of the blob; undefined until the head is there. */
  readonly name: string | undefined
  /** Distinguishes it from blobs of attempts that came to nothing. */
  readonly attempt: number
  readonly bytes: number
  /** Asks to the disk that are not answered. */
  readonly writes: number
  readonly isComplete: boolean
  /** Where the pages end that were asked for. */
  readonly until: number
  /** Since it was looked at last. */
  readonly hasMoved: boolean
}

/** Sent at once to whoever asks. */
const pagesAtOnce = 8

/** Whoever has pruned what is wanted here says so by a certificate: it is verified, and its entry is committed. */
export function beginTransfer(server: Server, certificate: CheckpointCertificate, peer: number): void {
  const { transfer, committed } = server
  const { index } = certificate.checkpoint
  if (index <= committed.entry.header.index) return
  if (transfer !== undefined && transfer.certificate.checkpoint.index >= index) return
  server.fetching = undefined
  server.transfer = {
    ...{ certificate, peer, tries: 0, at: 0, leaves: [], head: new Uint8Array(0), name: undefined },
    ...{ attempt: (transfer?.attempt ?? 0) + 1, bytes: 0, writes: 0, isComplete: false, until: 0, hasMoved: true },
  }
  request(server, server.transfer)
}

function request(server: Server, transfer: Transfer): void {
  const { certificate, at, peer } = transfer
  const { index, root } = certificate.checkpoint
  server.transfer = { ...transfer, until: at + pagesAtOnce }
  const all = holders(server)
  server.send(all[peer % all.length]!, { type: 'fetchPages', index, root, at })
}

export function admitCheckpointed(server: Server, certificate: CheckpointCertificate): Check[] | undefined {
  const { index, epoch } = certificate.checkpoint
  const members = membersOf(server, epoch)
  if (members === undefined || index <= (server.stable?.certificate.checkpoint.index ?? 0)) return undefined
  return flawOfCheckpoint(members, certificate) === undefined ? checkpointChecks(members, certificate) : undefined
}

/** In time for whoever was asked to have sent something. */
export function lookAfterTransfer(server: Server): void {
  const { transfer, conduct } = server
  if (transfer === undefined) return
  if (transfer.hasMoved || transfer.writes > 0) {
    server.transfer = { ...transfer, hasMoved: false }
    return
  }
  conduct.note(transfer.peer, 'silence')
  transferElsewhere(server)
}

function giveUp(server: Server): void {
  server.transfer = undefined
}

/** The next one. */
function transferElsewhere(server: Server): void {
  const { transfer, me } = server
  if (transfer === undefined || transfer.isComplete) return
  const { length } = holders(server)
  if (transfer.tries >= 3 * length) return giveUp(server)
  const next = (transfer.peer + 1) % length
  const peer = next === me ? (next + 1) % length : next
  server.transfer = { ...transfer, peer, tries: transfer.tries + 1 }
  request(server, server.transfer)
}

export function answerPages(server: Server, to: NodeId, { index, root, at }: FetchPages): void {
  const { checkpoints, stable, asking } = server
  const held = checkpoints.held.get(index)
  if (held?.checkpoint.root !== root) {
    // A newer one took its place.
    if (stable && stable.certificate.checkpoint.index > index)
      server.send(to, { type: 'checkpointed', certificate: stable.certificate })
    return
  }
  const pages = Math.min(pagesAtOnce, held.leaves.length - at)
  if (pages <= 0 || asking.isServing(to)) return
  const first = pageOf(held, at)
  const last = pageOf(held, at + pages - 1)
  const maxBytes = last.offset + last.bytes - first.offset
  const purpose = { type: 'serve', to, index, at, pages } as const
  if (maxBytes === 0) return sendPages(server, purpose, new Uint8Array(0))
  asking.ask({ type: 'readSnapshot', name: held.snapshot.name, offset: first.offset, maxBytes }, purpose)
}

const trees: WeakMap<Held, Merkle> = new WeakMap()

/** Worked out once for all the pages of a checkpoint. */
function merkleOf(digest: Digest, held: Held): Merkle {
  const merkle = trees.get(held) ?? new Merkle(digest, held.leaves)
  trees.set(held, merkle)
  return merkle
}

export function sendPages(
  server: Server,
  {
    to,
    index,
    at,
    pages,
  }: { readonly to: NodeId; readonly index: number; readonly at: number; readonly pages: number },
  bytes: Uint8Array,
): void {
  const held = server.checkpoints.held.get(index)
  if (held === undefined) return
  const merkle = merkleOf(server.settings.digest, held)
  const first = pageOf(held, at)
  for (let page = at; page < at + pages; page++) {
    const { head, offset, bytes: length } = pageOf(held, page)
    const from = offset - first.offset
    // The disk gave less than it was asked for: whoever waits asks again from there.
    if (from + length > bytes.length) return
    const content = joined(head, bytes.subarray(from, from + length))
    const { root } = held.checkpoint
    server.send(to, {
      type: 'page',
      root,
      at: page,
      count: held.leaves.length,
      path: merkle.path(page),
      bytes: content,
    })
  }
}

export function onPage(server: Server, sender: number, { root, at, count, path, bytes }: Page): void {
  const { transfer, settings } = server
  if (transfer?.certificate.checkpoint.root !== root || sender !== transfer.peer) return
  if (transfer.isComplete || at !== transfer.at) return
  const isFull = bytes.length === pageBytes || (at === count - 1 && bytes.length > 0 && bytes.length < pageBytes)
  if (!isFull || !provesItem(settings.digest, root, bytes, at, count, path)) {
    server.conduct.note(sender, 'pages')
    return transferElsewhere(server)
  }
  const leaves = [...transfer.leaves, leaf(settings.digest, bytes)]
  server.transfer = { ...transfer, at: at + 1, tries: 0, leaves, isComplete: at + 1 === count, hasMoved: true }
  accept(server, bytes)
}

function accept(server: Server, bytes: Uint8Array): void {
  const transfer = server.transfer!
  const { asking } = server
  let content = bytes
  if (transfer.name === undefined) {
    const all = joined(transfer.head, bytes)
    const length = headLength(all)
    if (length === undefined || all.length < length) {
      server.transfer = { ...transfer, head: all }
      return goOn(server)
    }
    const head = all.slice(0, length)
    const { entry } = decodeHead(head)
    const { position } = transfer.certificate.checkpoint
    const name = `${position}-${entry.header.term}-${root32(transfer)}-${transfer.attempt}`
    server.transfer = { ...transfer, head, name, writes: transfer.writes + 1 }
    asking.ask({ type: 'createSnapshot', name }, { type: 'transfer', name })
    content = all.slice(length)
  }
  if (content.length > 0) {
    const { name, writes, bytes: before } = server.transfer!
    server.transfer = { ...server.transfer!, writes: writes + 1, bytes: before + content.length }
    asking.ask({ type: 'writeSnapshot', name: name!, bytes: content }, { type: 'transfer', name: name! })
  }
  goOn(server)
}

const root32 = ({ certificate }: Transfer): string => certificate.checkpoint.root.slice(0, 32)

/** More is asked for once the disk has what came: what waits for it is bounded. */
function goOn(server: Server): void {
  const { transfer, asking } = server
  if (transfer === undefined || transfer.writes > 0) return
  if (!transfer.isComplete) {
    if (transfer.at >= transfer.until) request(server, transfer)
    return
  }
  if (transfer.name === undefined) return giveUp(server)
  asking.ask({ type: 'commitSnapshot', name: transfer.name }, { type: 'transfer', name: transfer.name })
}

export function onTransferAnswer(server: Server, name: string, answer: Answer): void {
  const { transfer } = server
  if (transfer?.name !== name) return
  if (answer.type === 'commitSnapshot') return install(server, transfer)
  // A blob of an earlier attempt is in the way, or the disk has no room: anew, under another name.
  if (answer.type === 'failed') return giveUp(server)
  if (answer.type === 'createSnapshot' && answer.held > 0) {
    giveUp(server)
    beginTransfer(server, transfer.certificate, transfer.peer)
    // Unless it came there by entries meanwhile.
    if (server.transfer) server.transfer = { ...server.transfer, attempt: transfer.attempt + 1 }
    return
  }
  server.transfer = { ...transfer, writes: transfer.writes - 1, hasMoved: true }
  goOn(server)
}

/** The state is on the disk: the machine begins there, and so does the tree. */
function install(server: Server, { certificate, head, name, leaves, bytes }: Transfer): void {
  const { checkpoint } = certificate
  server.transfer = undefined
  if (checkpoint.index <= server.committed.entry.header.index) return
  const { entry, used } = decodeHead(head)
  const snapshot = { name: name!, index: checkpoint.position, term: entry.header.term, bytes }
  const held: Held = { checkpoint, snapshot, head, leaves }
  const { tree, ballot, committed } = server
  const behind: Hash[] = []
  // Where it voted for what is committed, it may go on in its term: all that is committed is one chain. Where not, it waits for the next one.
  if (ballot.tip !== undefined && tree.holds(ballot.tip, committed.hash)) behind.push(ballot.tip)
  server.begin(new Branches(server.settings.digest, entry, behind), used)
  server.checkpoints.held.clear()
  server.checkpoints.taking.clear()
  hold(server, held)
  stabilise(server, certificate, held)
  server.asking.ask({ type: 'restore', snapshot }, { type: 'restored' })
  askForNewest(server)
}
