import {
  assemble,
  type Check,
  certificateChecks,
  flawOfCertificate,
  flawOfStep,
  flawOfTermCertificate,
  type Members,
  nextMembers,
  type Phase,
  type Place,
  type TermVote,
  termCertificateChecks,
  termVoteStatement,
  voteStatement,
} from '@raftkit/bft'
import { sha256 } from './entries.ts'
import { founders, type Setting } from './setting.ts'

/** What a vote may be for: a place of an epoch. */
export interface Claim extends Place {
  readonly era: number
  readonly entry: number
}

/** One epoch, as it begins with one entry. */
interface Era {
  readonly members: Members
  /** By honest member: its place among the voters; -1: it has none. */
  readonly seats: readonly number[]
  readonly liar: number
}

/** Where a term may begin, for given votes for it: by claims that must be certified, and by such as need not be. */
export interface Beginnings {
  readonly none: boolean
  readonly certified: number
  readonly free: number
}

const phases = ['append', 'commit'] as const
const nothing = new Uint8Array(0)
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

/**
 * What can be said, and what the liar can put together from what others have signed. Certificates are assembled and judged by the protocol's own
 * functions; a signature holds if its owner lies or has signed these very bytes. So whatever a statement forgets to bind is open to abuse.
 */
export class Claims {
  /** All places that votes can name: at most 31, a bit each. */
  readonly list: readonly Claim[]
  readonly honest: readonly string[]
  /** By phase: the claims whose certificate the protocol takes for the end of an epoch. */
  readonly ends: Readonly<Record<Phase, number>>
  readonly #eras: ReadonlyMap<number, Era>
  /** By phase and claim: the claims of each phase whose signed bytes are the same. */
  readonly #same: Readonly<Record<Phase, readonly Readonly<Record<Phase, number>>[]>>
  /** By phase and who of the honest signed: the claims for which a certificate stands. */
  readonly #stands: Readonly<Record<Phase, readonly number[]>>
  readonly #asking: Map<string, string> = new Map()

  constructor({ entries, terms, seats, liar }: Setting) {
    const list: Claim[] = []
    const members = new Map<number, Members>()
    for (const [at, { era, hash, entry }] of entries.list.entries()) {
      if (at === 0) continue
      const first = entries.list[era]!
      if (era === 0) members.set(era, founders(seats, { index: 0, hash: first.hash }))
      else members.set(era, nextMembers(sha256, members.get(first.era)!, first.entry))
      for (const term of terms) list.push({ term, index: entry.header.index, hash, era, entry: at })
    }
    const ids = [...members.values()].flatMap((epoch) => epoch.list.map(({ id }) => id))
    this.honest = [...new Set(ids)].filter((id) => id !== liar).sort()
    const eras = new Map<number, Era>()
    for (const [era, epoch] of members)
      eras.set(era, {
        members: epoch,
        seats: this.honest.map((id) => epoch.signer(id) ?? -1),
        liar: epoch.signer(liar) ?? -1,
      })
    if (list.length > 31) throw new Error(`${list.length} places: at most 31 fit into a word`)
    this.list = list
    this.#eras = eras
    const said = (phase: Phase): string[] =>
      list.map((claim) => text(voteStatement(eras.get(claim.era)!.members.domain, phase, claim)))
    const statements = { append: said('append'), commit: said('commit') }
    const sameAs = (statement: string): Record<Phase, number> => ({
      append: bits(statements.append.map((other) => other === statement)),
      commit: bits(statements.commit.map((other) => other === statement)),
    })
    this.#same = { append: statements.append.map(sameAs), commit: statements.commit.map(sameAs) }
    const stands = (phase: Phase): number[] =>
      Array.from({ length: 1 << this.honest.length }, (_, who) =>
        bits(list.map((_, at) => this.#certifies(phase, at, who, statements))),
      )
    this.#stands = { append: stands('append'), commit: stands('commit') }
    const ends = (phase: Phase): number =>
      bits(
        list.map((claim) => {
          const epoch = members.get(claim.era)!
          const signatures = epoch.list.slice(0, epoch.quorum).map((_, signer) => ({ signer, signature: nothing }))
          const certificate = { phase, epoch: epoch.epoch, place: claim, signatures }
          return flawOfStep(sha256, epoch, { entry: entries.list[claim.entry]!.entry, certificate }) === undefined
        }),
      )
    this.ends = { append: ends('append'), commit: ends('commit') }
  }

  at({ term, hash }: Place): number {
    return this.list.findIndex((claim) => claim.term === term && claim.hash === hash)
  }

  eras(): number[] {
    return [...this.#eras.keys()]
  }

  leader(era: number, term: number): string {
    return this.#eras.get(era)!.members.leader(term)
  }

  votesIn(era: number, who: number): boolean {
    return this.#eras.get(era)!.seats[who]! >= 0
  }

  /** Whoever signed these has signed those as well, if they are the same bytes. */
  signed(phase: Phase, votes: Readonly<Record<Phase, number>>): number {
    let all = 0
    for (const voted of phases)
      for (let at = 0; at < this.list.length; at++)
        if ((votes[voted] & (1 << at)) !== 0) all |= this.#same[voted][at]![phase]
    return all
  }

  /** Which places can be certified, if each honest member has signed its word of bits. */
  certified(phase: Phase, votes: ArrayLike<number>): number {
    const stands = this.#stands[phase]
    let all = 0
    for (let who = 0; who < stands.length; who++) {
      let exactly = stands[who]!
      for (let member = 0; member < votes.length; member++)
        exactly &= (who & (1 << member)) !== 0 ? votes[member]! : ~votes[member]!
      all |= exactly
    }
    return all
  }

  /** The term votes that are the same bytes as one for `term` with `lock` (-1: none): bits of the locks for `asTerm`, none first. */
  asked(era: number, term: number, lock: number, asTerm: number): number {
    const statement = this.#termStatement(era, term, lock)
    let all = 0
    for (let option = -1; option < this.list.length; option++)
      if (this.#isLock(era, option) && this.#termStatement(era, asTerm, option) === statement) all |= 1 << (option + 1)
    return all
  }

  /** Which locks term certificates for `term` can show, if each honest member has signed term votes with its word of locks, none first. */
  beginnings(era: number, term: number, asked: readonly number[]): Beginnings {
    const { members, seats, liar } = this.#eras.get(era)!
    const options = Array.from({ length: this.list.length + 1 }, (_, at) => at - 1).filter((at) =>
      this.#isLock(era, at),
    )
    const voters = members.list.map((_, seat): number[] => {
      if (seat === liar) return options
      const who = seats.indexOf(seat)
      return options.filter((option) => (asked[who]! & (1 << (option + 1))) !== 0)
    })
    const signers = members.list.map((_, seat) => seat).filter((seat) => voters[seat]!.length > 0)
    let none = false
    let certified = 0
    let free = 0
    const lists = [...choices(signers, members.quorum), ...choices(signers, members.quorum - 1)]
    // Whoever is in it twice says the same twice.
    for (const seatsOfVotes of lists)
      for (const locks of product(
        seatsOfVotes.map((seat, at) => (seat === seatsOfVotes[at - 1] ? [-2] : voters[seat]!)),
      )) {
        const votes: TermVote[] = []
        for (const [at, lock] of locks.entries()) {
          const before = votes.at(-1)?.lock
          votes.push({ signer: seatsOfVotes[at]!, lock: lock === -2 ? before : this.#place(lock), signature: nothing })
        }
        for (const lock of options) {
          if (lock < 0 ? none : ((certified | free) & (1 << lock)) !== 0) continue
          const place = this.#place(lock)
          const shown = place && {
            ...({ phase: 'append', epoch: members.epoch, place } as const),
            signatures: members.list.slice(0, members.quorum).map((_, signer) => ({ signer, signature: nothing })),
          }
          const certificate = { epoch: members.epoch, term, votes, lock: shown }
          if (flawOfTermCertificate(members, certificate) !== undefined) continue
          const checks = termCertificateChecks(members, certificate)
          const isOfLock = ({ bytes }: Check): boolean =>
            place !== undefined && text(bytes) === text(voteStatement(members.domain, 'append', place))
          const signs = ({ key, bytes }: Check): boolean => {
            const seat = members.list.findIndex((voter) => voter.key === key)
            if (seat === liar) return true
            return voters[seat]!.some((option) => this.#termStatement(era, term, option) === text(bytes))
          }
          if (!checks.every((check) => isOfLock(check) || signs(check))) continue
          if (lock < 0) none = true
          else if (checks.some(isOfLock)) certified |= 1 << lock
          else free |= 1 << lock
        }
      }
    return { none, certified, free }
  }

  /** Locks are of the epoch, whatever their term: what does not fit, the protocol must refuse. */
  #isLock(era: number, at: number): boolean {
    return at < 0 || this.list[at]!.era === era
  }

  #place(at: number): Place | undefined {
    if (at < 0) return undefined
    const { term, index, hash } = this.list[at]!
    return { term, index, hash }
  }

  #termStatement(era: number, term: number, lock: number): string {
    const key = `${era} ${term} ${lock}`
    let statement = this.#asking.get(key)
    if (statement === undefined) {
      statement = text(termVoteStatement(this.#eras.get(era)!.members.domain, term, this.#place(lock)))
      this.#asking.set(key, statement)
    }
    return statement
  }

  #certifies(phase: Phase, at: number, who: number, statements: Readonly<Record<Phase, readonly string[]>>): boolean {
    const claim = this.list[at]!
    const { members, seats, liar } = this.#eras.get(claim.era)!
    const signers = seats.filter((seat, member) => seat >= 0 && (who & (1 << member)) !== 0)
    if (liar >= 0) signers.push(liar)
    const gathered = signers.sort((a, b) => a - b).map((signer) => ({ signer, signature: nothing }))
    // Whoever puts one together believes it; what a liar shows is looked at first.
    const own = assemble(members, [...gathered, ...gathered])
    const shown = [gathered, ...choices(gathered, members.quorum)]
    return [own, ...shown].some((signatures) => {
      if (signatures === undefined) return false
      const certificate = { phase, epoch: members.epoch, place: claim, signatures }
      if (signatures !== own && flawOfCertificate(members, certificate) !== undefined) return false
      return certificateChecks(members, certificate).every(({ key, bytes }) => {
        const seat = members.list.findIndex((voter) => voter.key === key)
        return (
          gathered.some(({ signer }) => signer === seat) && (seat === liar || text(bytes) === statements[phase][at])
        )
      })
    })
  }
}

const bits = (flags: readonly boolean[]): number => flags.reduce((all, flag, at) => (flag ? all | (1 << at) : all), 0)

/** Lists of `count` of them in order, each as often as one likes. */
function choices<T>(from: readonly T[], count: number): T[][] {
  if (count === 0) return [[]]
  return from.flatMap((first, at) => choices(from.slice(at), count - 1).map((rest) => [first, ...rest]))
}

function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((all, list) => all.flatMap((some) => list.map((one) => [...some, one])), [[]])
}
