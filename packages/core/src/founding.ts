import { hash128, recordKind, toHex, Writer } from '@raftkit/bytes'
import { type Config, type Peer, RaftkitError, type Sender } from '@raftkit/contract'
import { configFormat, encodeConfig } from './config-encoding.ts'
import { resetElectionTimer } from './election.ts'
import type { Found, Founder } from './messages.ts'
import type { Raft } from './raft.ts'
import { sameSender } from './role.ts'

/**
 * How an empty server founds a cluster (design rule 6): together with all that its list names, once, when all are up.
 *
 * Everyone tells everyone whom it has heard of, with incarnations. A server founds only when each founder, itself included, has
 * stated one and the same complete list. So a list that a founder states was never overtaken by one it founded with; and a founder
 * that is wiped in between is another incarnation, which makes another list, which all must state anew.
 */
export interface Founding {
  /** In the order of ids. */
  readonly founders: readonly Founder[]
  /** The list each founder last stated, in its canonical form. */
  readonly stated: ReadonlyMap<string, string>
  readonly sendAt: number
}

export function beginFounding(raft: Raft, peers: readonly Peer[]): Founding {
  const founders = peers
    .map(({ id, address }) => ({ id, address, incarnation: id === raft.self.id ? raft.self.incarnation : '' }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  if (founders.some((founder, at) => founder.id === founders[at + 1]?.id)) {
    throw new RaftkitError('INVALID_OPTION', 'a founder is named twice; name each id once')
  }
  if (!founders.some((founder) => founder.id === raft.self.id)) {
    throw new RaftkitError(
      'INVALID_OPTION',
      `${raft.self.id} is not among the founders; add it to them, or join an existing cluster`,
    )
  }
  return { founders, stated: new Map(), sendAt: raft.now }
}

/**
 * With whom this server founded, as its log says. Of the first configuration nothing else may be remembered: who crashed before its word
 * reached the others still owes it to them, or they wait for it for ever.
 */
export function foundersInLog({ state, log }: Raft): readonly Founder[] | undefined {
  const first = log.configs[0]
  if (state.genesis === '' || first?.index !== 1) return undefined
  return first.config.members.map(({ id, address, incarnation }) => ({ id, address, incarnation }))
}

const canonical = (founders: readonly Founder[]): string =>
  toHex(hash128(encodeConfig({ format: configFormat, members: members(founders) })))

const members = (founders: readonly Founder[]): Config['members'] =>
  founders.map(({ id, address, incarnation }) =>
    address === undefined ? { id, incarnation, role: 'voter' } : { id, address, incarnation, role: 'voter' },
  )

export function onFound(raft: Raft, from: Sender, message: Found): void {
  const { founding } = raft
  if (founding === undefined) {
    // Whoever missed the last word still needs it from each of us.
    const mine = raft.foundedWith
    if (!message.done && mine?.some(({ id }) => id === from.id))
      raft.send(from, { type: 'found', done: true, founders: mine })
    return
  }
  const sameNames = (a: readonly Founder[], b: readonly Founder[]): boolean =>
    a.length === b.length && a.every(({ id, address }, at) => id === b[at]!.id && address === b[at]!.address)
  if (!sameNames(founding.founders, message.founders) || !founding.founders.some(({ id }) => id === from.id)) {
    return raft.happen({
      type: 'ignored',
      from: from.id,
      reason: 'it would found the cluster with other members; give every founder the same list',
    })
  }
  const known = founding.founders.find(({ id }) => id === from.id)!
  const news = known.incarnation !== from.incarnation
  const founders = news
    ? founding.founders.map((founder) =>
        founder.id === from.id ? { ...founder, incarnation: from.incarnation } : founder,
      )
    : founding.founders
  const said = canonical(message.founders)
  const stated = new Map(founding.stated).set(from.id, said)
  // What was said before is answered in its time, or two that wait for a third would talk without pause.
  const answers =
    founding.stated.get(from.id) !== said &&
    !message.founders.every(({ incarnation }, at) => incarnation === founders[at]!.incarnation)
  raft.founding = { founders, stated, sendAt: news ? raft.now : founding.sendAt }
  if (answers && !news) raft.send(from, { type: 'found', done: false, founders })
  foundIfAgreed(raft)
}

/** Says again what is known, until all agree. */
export function continueFounding(raft: Raft): void {
  const { founding } = raft
  if (founding === undefined || raft.now < founding.sendAt) return
  raft.founding = { ...founding, sendAt: raft.now + raft.settings.heartbeatInterval }
  tellFounders(raft, founding.founders)
  foundIfAgreed(raft)
}

function tellFounders(raft: Raft, founders: readonly Founder[]): void {
  for (const { id } of founders) {
    if (id !== raft.self.id)
      raft.send({ id, incarnation: '' }, { type: 'found', done: raft.founding === undefined, founders })
  }
}

function foundIfAgreed(raft: Raft): void {
  const { founding } = raft
  if (founding === undefined) return
  const { founders, stated } = founding
  const mine = canonical(founders)
  if (!founders.every(({ id, incarnation }) => incarnation !== '' && (id === raft.self.id || stated.get(id) === mine)))
    return
  const config: Config = { format: configFormat, members: members(founders) }
  raft.foundedWith = founders
  raft.adoptGenesis(genesisOf(raft.state.cluster, raft.state.group, config))
  // Term 1 has no leader: its one entry, the same bytes on every founder, is the first configuration.
  raft.enterTerm(1, undefined)
  raft.log.append({ kind: recordKind.config, term: 1, time: 0, seed: 0, payload: encodeConfig(config) })
  raft.happen({ type: 'founded', genesis: raft.state.genesis, config })
  raft.noticeConfigs(1)
  tellFounders(raft, founders)
  // Nobody has led yet, so nobody's silence need be waited for; one of them goes first.
  resetElectionTimer(raft)
  if (sameSender(members(founders)[0], raft.self)) raft.electionDeadline = raft.now
}

function genesisOf(cluster: string, group: string, config: Config): string {
  return toHex(hash128(new Writer().text(cluster).text(group).bytes(encodeConfig(config)).finish()))
}
