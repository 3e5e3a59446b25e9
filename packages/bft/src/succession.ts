import type { NodeId } from '@raftkit/contract'
import { Accusations } from './accusing.ts'
import { type Certificate, certificateChecks } from './certificate.ts'
import { Conduct } from './conduct.ts'
import type { Entry } from './entry.ts'
import { configurationChecks, flawOfConfiguration, flawOfStep, followEpochs, nextMembers, type Step } from './epochs.ts'
import { halt, keepEpoch, testify } from './halting.ts'
import type { Members } from './members.ts'
import type { Message } from './messages.ts'
import { firstBallot } from './rules.ts'
import type { Server, Settings } from './server.ts'
import type { Check } from './statement.ts'
import { Tally } from './tally.ts'
import { catchUp } from './terms.ts'

/*
 * From one epoch to the next. Everything that was promised in an epoch ends with it: its ballot, votes and certificates are of no use in
 * another, and the new members begin at term 0, from the configuration entry.
 */

/** In one message. */
const mostSteps = 16

/** A committed configuration ends its epoch. */
export function succeed(server: Server, entry: Entry, certificate: Certificate): void {
  enterEpoch(server, nextMembers(server.settings.digest, server.members, entry), [{ entry, certificate }])
}

function enterEpoch(server: Server, members: Members, steps: readonly Step[]): void {
  const before = server.members
  keepEpoch(server)
  server.epochs = [...server.epochs, ...steps]
  server.members = members
  server.me = members.signer(server.settings.self, server.settings.key) ?? -1
  server.ballot = firstBallot
  server.lock = undefined
  server.stated = undefined
  server.proof = undefined
  server.newest = undefined
  server.tally = new Tally()
  server.demands = new Map()
  server.suspicions = new Map()
  server.said = {}
  server.committing = undefined
  server.waiting = undefined
  server.certified = server.certified.commit ? { commit: server.certified.commit } : {}
  server.accusations = new Accusations()
  server.conduct = new Conduct()
  server.kept = new Map()
  server.pending = undefined
  server.lastCommitTerm = 0
  server.since = server.now
  server.checkpoints.votes = new Map()
  server.promises.clear()
  server.pool.restock()
  server.journal.touch()
  server.tell({ type: 'epoch', epoch: members.epoch, members: members.list.map(({ id }) => id) })
  // Those who leave may not hear of it otherwise, and those who come must be told where to begin.
  for (const { id } of [...before.list, ...members.list])
    if (id !== server.settings.self) helpOver(server, id, before.signer(id) === undefined ? 0 : before.epoch)
}

/** Whoever is of an older epoch learns how it ended, and each one since. */
export function helpOver(server: Server, peer: NodeId, epoch: number): void {
  const { epochs, commit } = server
  if (epoch >= server.members.epoch) return
  // Whoever is further behind asks again.
  server.send(peer, { type: 'epochs', steps: epochs.slice(epoch, epoch + mostSteps) })
  if (commit !== undefined) server.send(peer, { type: 'certified', certificate: commit })
}

/** The members of an epoch that this member has come through; those of the newest are the ones in force. */
export function membersOf({ members, epochs, settings }: Server, epoch: number): Members | undefined {
  if (epoch === members.epoch) return members
  return epoch > members.epoch ? undefined : membersAfter(settings, epochs.slice(0, epoch))
}

/** Of steps that were verified. */
export function membersAfter({ digest, members }: Settings, steps: readonly Step[]): Members {
  return steps.reduce((last, { entry }) => nextMembers(digest, last, entry), members)
}

/** Whether it was a member of any epoch that is known. */
export function knows({ settings, members, epochs }: Server, id: NodeId, key?: Uint8Array): boolean {
  if (members.signer(id, key) !== undefined) return true
  let before = settings.members
  for (const { entry } of epochs) {
    if (before.signer(id, key) !== undefined) return true
    before = nextMembers(settings.digest, before, entry)
  }
  return false
}

/**
 * To a peer that is there again, so that who was away hears at once where the others are, though nothing is going on. Nobody suspects anybody with
 * term 0: it says of which epoch this node is, and whoever knows a newer one tells.
 */
export function meet(server: Server, peer: NodeId): void {
  const { epoch, operators } = server.members
  const isMember = server.members.signer(peer) !== undefined
  // It is helped when it says where it is: helped at once, it would be left alone when it turns out to be of an older epoch.
  if (operators === undefined) return isMember ? catchUp(server, peer, -1) : undefined
  if (isMember || server.me < 0) server.send(peer, { type: 'preVote', epoch, term: 0 })
  // The branches of a fork may have come to epochs of the same number, and take each other's words for bad signatures.
  if (isMember && epoch > 0) server.send(peer, { type: 'epochs', steps: server.epochs.slice(-1) })
}

type Epochs = Extract<Message, { type: 'epochs' }>

/** Steps beyond the epoch of this member: each certified by the members that the one before it names. */
export function admitEpochs(server: Server, { steps }: Epochs): Check[] | undefined {
  const { members, settings } = server
  const rival = rivalOf(server, steps)
  if (rival !== undefined) {
    const signed = membersOf(server, rival.entry.header.epoch)!
    return flawOfStep(settings.digest, signed, rival) ? undefined : certificateChecks(signed, rival.certificate)
  }
  const news = steps.filter(({ entry }) => entry.header.epoch >= members.epoch)
  const followed = news.length > 0 ? followEpochs(settings.digest, members, news) : undefined
  return followed && [...followed.checks]
}

/** An epoch that ended otherwise than it did here: its members committed two configurations. */
const rivalOf = ({ epochs }: Server, steps: readonly Step[]): Step | undefined =>
  steps.find(({ entry, certificate }) => {
    const known = epochs[entry.header.epoch]
    return known !== undefined && known.certificate.place.hash !== certificate.place.hash
  })

/** What lies before the new epoch is fetched like anything else; until it is there, this member votes for nothing. */
export function onEpochs(server: Server, from: NodeId, { steps }: Epochs): void {
  const rival = rivalOf(server, steps)
  if (rival !== undefined) {
    halt(server, [rival.certificate], [rival.entry.header])
    // It may have come to the other branch since, and then nobody here knows it.
    return testify(server, from)
  }
  const news = steps.filter(({ entry }) => entry.header.epoch >= server.members.epoch)
  const followed = followEpochs(server.settings.digest, server.members, news)
  if (followed !== undefined) enterEpoch(server, followed.members.at(-1)!, news)
}

/**
 * What operators ask for, by this member or another. Undefined: nothing that could be done now. Of two for one epoch the first stays: whoever took the
 * second for it would hand that on, and so would everybody, to and fro.
 */
export function admitConfiguration(server: Server, item: Uint8Array): Check[] | undefined {
  const { settings, members, pending } = server
  if (pending !== undefined || item.length > settings.batchBytes) return undefined
  if (flawOfConfiguration(settings.digest, members, item) !== undefined) return undefined
  return configurationChecks(settings.digest, members, item)
}

/** Its operators signed it: whoever leads proposes it, and is suspected if it does not. */
export function onConfiguration(server: Server, item: Uint8Array): void {
  if (!server.isBusy) server.since = server.now
  server.pending = item
  server.broadcast({ type: 'configure', item })
}

/** S6: behind a configuration nothing follows in its epoch. */
export function endsEpoch({ header }: Entry, members: Members): boolean {
  return header.kind === 'config' && header.index > members.genesis.index && header.epoch === members.epoch
}
