import type { Answer, NodeId } from '@raftkit/contract'
import { onEvidence, onInvestigated, weighForged, weighVote } from './accusing.ts'
import { admitAppend, onAppendEntries } from './appending.ts'
import type { Purpose } from './asking.ts'
import { onCheckpoint, onCheckpointed, onCheckpointVotes, onTaken } from './checkpointing.ts'
import { answerFetch, holders, onFetched } from './fetching.ts'
import { onForked, testify } from './halting.ts'
import type { Message } from './messages.ts'
import { itemHash } from './request.ts'
import { admitRequest, onRequests } from './requests.ts'
import type { Server } from './server.ts'
import type { Check } from './statement.ts'
import { admitConfiguration, admitEpochs, helpOver, knows, onConfiguration, onEpochs } from './succession.ts'
import { admitRequestVote, admitTermCertificate, onPreVote, onRequestVote, onTermCertificate } from './terms.ts'
import { admitCheckpointed, answerPages, beginTransfer, onPage, onTransferAnswer, sendPages } from './transferring.ts'
import { admitCertificate, count, onCertificate, onVote } from './voting.ts'

const mostForged = 16
/** Of one member, whose signatures are being verified: messages, and requests in each. */
const mostForwarded = 8
const mostRequests = 1024

/** First what costs nothing, then the signatures, then the effect: an unproved message changes nothing. */
export function receive(server: Server, from: NodeId, message: Message): void {
  const sender = server.members.signer(from)
  if (sender === server.me) return
  if (server.isForked && message.type !== 'forked' && knows(server, from)) testify(server, from)
  if (sender === undefined) return fromOutside(server, from, message)
  server.conduct.hear(server, sender, message)
  if ('epoch' in message && message.epoch !== server.members.epoch) return fromEpoch(server, from, message.epoch)
  if (message.type === 'forked') return onForked(server, from, message.dump)
  if (server.isForked && message.type !== 'fetch') return
  // Who is honest hands on what it has verified: who brings many a forgery is not asked to be believed any more.
  if (message.type === 'forward' && (server.conduct.of(sender).signatures ?? 0) >= mostForged) return
  if (message.type === 'forward') return receiveRequests(server, message.requests, sender)
  verifyFirst(server, sender, from, message)
}

/** Those who left serve what they hold, and are served; what proves itself, whoever brings it, is heard. */
function fromOutside(server: Server, from: NodeId, message: Message): void {
  if (message.type === 'forked') return knows(server, from) ? onForked(server, from, message.dump) : undefined
  if (server.isForked && message.type !== 'fetch') return
  if (message.type === 'epochs') return verifyFirst(server, 0, from, message)
  if (!knows(server, from)) return
  const holder = holders(server).indexOf(from)
  if (message.type === 'fetched' && holder >= 0) return onFetched(server, holder, message)
  if (message.type === 'page' && holder >= 0) return onPage(server, holder, message)
  if (message.type === 'certified' || message.type === 'checkpointed')
    return verifyFirst(server, Math.max(0, holder), from, message)
  if (message.type === 'fetch') return answerFetch(server, from, message)
  if (message.type === 'fetchPages') return answerPages(server, from, message)
  if ('epoch' in message) fromEpoch(server, from, message.epoch)
}

/** One of the two is behind: it is told, or says so. */
function fromEpoch(server: Server, from: NodeId, epoch: number): void {
  const { helped, now, settings, members } = server
  if (now < (helped.get(from) ?? 0)) return
  helped.set(from, now + settings.resend)
  if (epoch < members.epoch) helpOver(server, from, epoch)
  else if (epoch > members.epoch) server.send(from, { type: 'preVote', epoch: members.epoch, term: 0 })
}

const provesItself = ({ type }: Message): boolean =>
  type === 'epochs' || type === 'certified' || type === 'checkpointed'

function verifyFirst(server: Server, sender: number, from: NodeId, message: Message): void {
  const checks = admit(server, sender, from, message)
  if (checks === undefined) return
  if (checks.length === 0) return handle(server, sender, from, message)
  if (message.type === 'appendEntries' && server.asking.isLookingAt(from, message)) return
  server.verify(checks, { type: 'message', from, message, checks })
}

export function receiveConfiguration(server: Server, item: Uint8Array): void {
  const checks = server.isForked ? undefined : admitConfiguration(server, item)
  if (checks !== undefined) server.verify(checks, { type: 'configuration', item })
}

/** `sender`: the member that hands them on. */
export function receiveRequests(server: Server, requests: readonly Uint8Array[], sender?: number): void {
  if (server.isForked) return
  if (sender !== undefined && server.asking.requestsOf(sender) >= mostForwarded) return
  const admitted = requests.slice(0, mostRequests).flatMap((bytes) => admitRequest(server, bytes) ?? [])
  if (admitted.length === 0) return
  const isKnown = ({ bytes }: { readonly bytes: Uint8Array }): boolean =>
    server.verified.has(itemHash(server.settings.digest, bytes))
  const known = admitted.filter(isKnown).map(({ bytes }) => bytes)
  if (known.length > 0) onRequests(server, known)
  const open = admitted.filter((one) => !isKnown(one))
  if (open.length === 0) return
  const unknown = open.map(({ bytes }) => bytes)
  server.verify(
    open.map(({ check }) => check),
    { type: 'requests', requests: unknown, sender },
  )
}

export function onVerified(server: Server, ask: number, valid: readonly boolean[]): void {
  for (const ready of server.asking.verified(ask, valid)) afterVerifying(server, ready.purpose, ready.valid)
}

function afterVerifying(server: Server, purpose: Purpose, valid: readonly boolean[]): void {
  if (server.isForked) return
  switch (purpose.type) {
    case 'requests': {
      const { requests, sender } = purpose
      if (sender !== undefined) for (const one of valid) if (!one) server.conduct.note(sender, 'signatures')
      return onRequests(
        server,
        requests.filter((_, at) => valid[at]),
      )
    }
    case 'evidence':
      return onInvestigated(server, purpose, valid)
    case 'configuration':
      return valid.every(Boolean) && admitConfiguration(server, purpose.item)
        ? onConfiguration(server, purpose.item)
        : undefined
    case 'tally': {
      const { votes } = purpose
      for (const [at, vote] of votes.entries()) {
        server.tally.judge(vote, valid[at] === true)
        if (!valid[at]) server.conduct.note(vote.signer, 'signatures')
      }
      return votes[0] && count(server, votes[0].phase, votes[0].place)
    }
    case 'checkpointVotes':
      return onCheckpointVotes(server, purpose.votes, valid)
    case 'message': {
      const { from, message, checks } = purpose
      const sender = server.members.signer(from)
      if (sender === undefined && !provesItself(message)) return
      if (!valid.every(Boolean)) {
        if (message.type === 'appendEntries') weighForged(server, message, checks, valid)
        if (sender !== undefined) server.conduct.note(sender, 'signatures')
        return
      }
      if (message.type === 'appendEntries')
        for (const { items } of message.entries) for (const item of items) server.isSigned(item)
      // Time has passed: what was news may be none now.
      if (admit(server, sender ?? 0, from, message) !== undefined) handle(server, sender ?? 0, from, message)
    }
  }
}

/** The disk and the machine answer. */
export function onAnswered(server: Server, ask: number, answer: Answer): void {
  const purpose = server.asking.settle(ask)
  switch (purpose?.type) {
    case 'taken':
    case 'read':
      return onTaken(server, purpose.index, answer)
    case 'restored':
      server.isRestoring = false
      return
    case 'serve':
      return answer.type === 'readSnapshot' ? sendPages(server, purpose, answer.bytes) : undefined
    case 'transfer':
      return onTransferAnswer(server, purpose.name, answer)
  }
}

/** Undefined: not to be handled. Else what must be verified first. */
function admit(server: Server, sender: number, from: NodeId, message: Message): Check[] | undefined {
  switch (message.type) {
    case 'appendEntries':
      return admitAppend(server, from, message)
    case 'requestVote':
      return admitRequestVote(server, sender, from, message)
    case 'certified':
      return admitCertificate(server, message.certificate)
    case 'termCertified':
      return admitTermCertificate(server, message.certificate)
    case 'epochs':
      return admitEpochs(server, message)
    case 'checkpointed':
      return admitCheckpointed(server, message.certificate)
    default:
      return []
  }
}

function handle(server: Server, sender: number, from: NodeId, message: Message): void {
  switch (message.type) {
    case 'appendEntries':
      return onAppendEntries(server, from, message)
    case 'vote':
      return onVote(server, sender, from, message)
    case 'preVote':
      return onPreVote(server, sender, from, message)
    case 'requestVote':
      return onRequestVote(server, sender, message)
    case 'certified':
      return onCertificate(server, message.certificate, sender)
    case 'termCertified':
      return onTermCertificate(server, message.certificate)
    case 'fetch':
      return answerFetch(server, from, message)
    case 'fetched':
      return onFetched(server, sender, message)
    case 'checkpoint':
      return onCheckpoint(server, sender, message)
    case 'checkpointed':
      onCheckpointed(server, message.certificate)
      return beginTransfer(server, message.certificate, sender)
    case 'fetchPages':
      return answerPages(server, from, message)
    case 'page':
      return onPage(server, sender, message)
    case 'witness':
      return message.epoch === server.members.epoch ? weighVote(server, message) : undefined
    case 'evidence':
      return onEvidence(server, from, message.bytes)
    case 'epochs':
      return onEpochs(server, from, message)
    case 'configure':
      return receiveConfiguration(server, message.item)
  }
}
