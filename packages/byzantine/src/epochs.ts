import {
  decodeConfiguration,
  type Entry,
  encodeConfiguration,
  headerHash,
  itemsRoot,
  Members,
  type Message,
  type Step,
  span,
  termVoteStatement,
  voteStatement,
} from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import { leading, proposing } from './leading.ts'
import { flipped, lead, withItems } from './signing.ts'
import { type Behaviour, others, pick, type Stage } from './stage.ts'

/* What a member can do about epochs: to those that there are or were, where operators change members, and else to some that it makes up. */

/** The same members and keys elsewhere, or in another epoch. */
function elsewhere({ members, digest }: Stage, epoch: number, genesis: string): Members {
  return new Members(digest, epoch, members.list, { index: members.genesis.index, hash: genesis })
}

const newest = ({ epochs }: Stage): Members => epochs.at(-1)!

/** What was said in one epoch, as though it were of another; or what was said of no cluster at all. */
export const foreignSignature: Behaviour = (stage) => {
  const cluster = elsewhere(stage, stage.members.epoch, 'ab'.repeat(32))
  return {
    says(to, message) {
      if (message.type !== 'vote') return message
      const { members, knowledge } = stage
      const former = pick(
        stage,
        stage.epochs.filter(({ domain }) => domain !== members.domain),
      )
      const old = pick(
        stage,
        knowledge.certificates.filter(({ epoch }) => epoch < members.epoch),
      )
      if (old !== undefined && stage.random() < 0.3) {
        stage.did('F12', true)
        stage.say(to, { type: 'certified', certificate: { ...old, epoch: members.epoch } })
        return message
      }
      const { domain } = former ?? cluster
      stage.sign(voteStatement(domain, message.phase, message.place), (signature) => {
        stage.did('F12', former && true)
        stage.say(to, { ...message, signature })
      })
      return undefined
    },
  }
}

/** It votes on in the epoch that is over, also when it has left; while there was none, in one that has not begun. */
export const foreignEpoch: Behaviour = (stage) => {
  const { members } = stage
  const next = elsewhere(stage, members.epoch + 1, members.genesis.hash)
  const haunt = (): void => {
    const { members, knowledge } = stage
    const entry = pick(stage, [...knowledge.entries])
    if (entry === undefined) return
    const [hash, { header }] = entry
    const place = { term: header.term, index: header.index, hash }
    const phase = stage.random() < 0.5 ? 'append' : 'commit'
    const { epoch } = members
    for (const { id } of newest(stage).list) {
      if (id === stage.self) continue
      stage.sign(voteStatement(members.domain, phase, place), (signature) => {
        stage.did('F37', true)
        stage.say(id, { type: 'vote', epoch, phase, place, signature })
        stage.say(id, { type: 'vote', epoch: newest(stage).epoch, phase, place, signature })
      })
      const term = header.term + 1
      stage.sign(termVoteStatement(members.domain, term, undefined), (signature) =>
        stage.say(id, {
          ...({ type: 'requestVote', epoch: newest(stage).epoch, term } as const),
          ...{ vote: { signer: stage.me, lock: undefined, signature }, lock: undefined },
        }),
      )
    }
  }
  const hasLeft = (): boolean => newest(stage).epoch > stage.members.epoch
  return {
    hears(_, message) {
      if (hasLeft() && stage.random() < 0.3) haunt()
      return message
    },
    says(to, message) {
      if (message.type !== 'vote') return message
      const former = stage.epochs.find(({ epoch }) => epoch === stage.members.epoch - 1)
      const me = former?.signer(stage.self)
      const { domain, epoch } = former && me !== undefined ? former : next
      const place = { ...message.place, term: Math.floor(stage.random() * 2) * message.place.term }
      stage.sign(voteStatement(domain, message.phase, place), (signature) => {
        stage.did('F37', former && true)
        stage.say(to, { ...message, epoch, place, signature })
      })
      return message
    },
  }
}

const asConfiguration = (stage: Stage, tip: Entry, item: Uint8Array): Entry => {
  const entry = withItems(stage, tip, [item])
  return { ...entry, header: { ...entry.header, kind: 'config' } }
}

/** Approved by nobody, by those who approved something else, or by too few. */
function forged(stage: Stage): Uint8Array {
  const { members, knowledge } = stage
  const { epoch, list, operators } = members
  if (operators === undefined) return new Uint8Array([1, 2, 3])
  const real = pick(stage, [...knowledge.configurations.values()])
  const known = real && readable(real)
  const nobody = Array.from({ length: operators.threshold }, (_, operator) => ({
    operator,
    signature: flipped(new Uint8Array(32), () => stage.random()),
  }))
  const approvals = known?.approvals ?? nobody
  const rest = list.filter(({ id }) => id !== pick(stage, others(stage)))
  const fewer = rest.length < 4 ? list : rest
  const lies = [
    encodeConfiguration({ epoch, members: fewer, operators }, approvals),
    encodeConfiguration({ epoch, members: fewer, operators }, nobody),
    encodeConfiguration({ epoch, members: fewer, operators: undefined }, approvals.slice(1)),
    encodeConfiguration({ epoch: epoch + 1, members: fewer, operators }, approvals),
    ...(real && known && known.configuration.epoch < epoch ? [real] : []),
    ...(known ? [encodeConfiguration({ ...known.configuration, epoch }, approvals.slice(1))] : []),
  ]
  return pick(stage, lies)!
}

/** Liars hear each other's forgeries, too. */
function readable(item: Uint8Array): ReturnType<typeof decodeConfiguration> | undefined {
  try {
    return decodeConfiguration(item)
  } catch {
    return undefined
  }
}

export const falseConfiguration: Behaviour = (stage) => {
  const isLive = stage.members.operators && true
  const asLeader = proposing('F35', (_, tip) => [asConfiguration(stage, tip, forged(stage))], isLive)(stage)
  return {
    says(to, message) {
      if (isLive && message.type === 'vote' && stage.random() < 0.2) {
        stage.did('F35', true)
        stage.say(to, { type: 'configure', item: forged(stage) })
      }
      return asLeader.says!(to, message)
    },
  }
}

/** Where operators sign one, behind it, to all or to some; else behind one of its own. */
export const behindConfiguration: Behaviour = (stage) => {
  const child = (config: Entry): Entry => ({
    header: {
      ...config.header,
      ...{ kind: 'noop', index: config.header.index + 1, position: config.header.position + span(config) },
      ...{ parent: headerHash(stage.digest, config.header), root: itemsRoot(stage.digest, []) },
    },
    items: [],
  })
  const behindOwn = proposing('F36', (_, tip) => {
    const config = asConfiguration(stage, tip, forged(stage))
    const parent = headerHash(stage.digest, config.header)
    const { index, position } = config.header
    return [config, { ...tip, header: { ...tip.header, parent, index: index + 1, position: position + 1 } }]
  })(stage)
  if (stage.members.operators === undefined) return behindOwn
  return leading((stage) => (to, message) => {
    const tip = message.entries.at(-1)!
    if (tip.header.kind !== 'config' || tip.header.epoch !== stage.members.epoch) return message
    const entries = [...message.entries, child(tip)]
    if (stage.random() < 0.4) return lead(stage, to, message, entries, 'F36', true)
    if (stage.random() < 0.5) lead(stage, to, message, entries, 'F36', true)
    return message
  })(stage)
}

/** Whoever comes, or was away, is told half of it, or of the certificates and states of before; and all, that the epoch is over when it may be. */
export const staleWelcome: Behaviour = (stage) => {
  const { members, knowledge } = stage
  const signatures = new Map<string, Map<number, Uint8Array>>()
  /** A lock on a configuration is no commit: another may still end the epoch. */
  const rush = (signer: number | undefined, message: Message): void => {
    if (message.type !== 'vote' || message.phase !== 'append' || message.epoch !== members.epoch) return
    const { place } = message
    const entry = knowledge.entries.get(place.hash)
    if (signer === undefined || entry?.header.kind !== 'config') return
    const key = `${place.term} ${place.hash}`
    const known = signatures.get(key) ?? new Map<number, Uint8Array>()
    signatures.set(key, known.set(signer, message.signature))
    if (known.size !== members.quorum) return
    const by = [...known].sort(([a], [b]) => a - b).map(([signer, signature]) => ({ signer, signature }))
    const certificate = { phase: 'append', epoch: members.epoch, place, signatures: by } as const
    for (const to of others(stage)) {
      stage.did('F38', true)
      stage.say(to, { type: 'epochs', steps: [{ entry, certificate }] })
    }
  }
  const stale = (to: NodeId): void => {
    const { knowledge } = stage
    const old = pick(
      stage,
      knowledge.messages.filter(
        (one) =>
          (one.type === 'certified' && one.certificate.epoch < newest(stage).epoch) ||
          (one.type === 'checkpointed' && one.certificate.checkpoint.epoch < newest(stage).epoch) ||
          one.type === 'page',
      ),
    )
    if (old === undefined) return
    stage.did('F38', true)
    stage.say(to, old)
  }
  return {
    hears(from, message) {
      rush(members.signer(from), message)
      if ('epoch' in message && message.epoch < newest(stage).epoch && stage.random() < 0.5) stale(from)
      return message
    },
    says(to, message) {
      rush(stage.me, message)
      switch (message.type) {
        case 'epochs': {
          stage.did('F38', true)
          stale(to)
          const steps = pick(stage, [...halfTruths(stage, message.steps), [untruth(stage, message.steps)]])
          return steps && { ...message, steps }
        }
        case 'checkpointed':
        case 'page':
        case 'fetched':
          if (newest(stage).epoch > 0 && stage.random() < 0.5) stale(to)
          return message
        default:
          return message
      }
    },
  }
}

/** An end of that epoch with which nobody who votes has anything to do. */
function untruth(stage: Stage, [first]: readonly Step[]): Step {
  const { digest, random, epochs } = stage
  const item = forged({ ...stage, members: epochs[first!.entry.header.epoch] ?? stage.members })
  const entry = withItems(stage, first!.entry, [item])
  const { certificate } = first!
  const signatures = certificate.signatures.map(({ signer, signature }) => ({
    signer,
    signature: flipped(signature, random),
  }))
  return {
    entry,
    certificate: {
      ...certificate,
      place: { ...certificate.place, hash: headerHash(digest, entry.header) },
      signatures,
    },
  }
}

function halfTruths({ knowledge }: Stage, steps: readonly Step[]): (readonly Step[] | undefined)[] {
  const [first] = steps
  if (first === undefined) return [undefined]
  const other = knowledge.certificates.filter(({ phase }) => phase === 'commit')
  return [
    undefined,
    steps.slice(1),
    steps.slice(0, -1),
    [...steps].reverse(),
    [...steps, ...steps],
    ...other.slice(-2).map((certificate) => [{ ...first, certificate }, ...steps.slice(1)]),
    [{ ...first, certificate: { ...first.certificate, signatures: first.certificate.signatures.slice(1) } }],
    [{ ...first, certificate: { ...first.certificate, phase: 'append' } }],
  ]
}
