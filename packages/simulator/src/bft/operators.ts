import { configurationStatement, encodeConfiguration, type Members, type Operators, type Voter } from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import type { Random } from '../random.ts'
import { type Notary, sha256 } from './notary.ts'
import { type ChangeKind, faultsOf } from './plan.ts'
import type { Seat } from './seats.ts'

/** Three, of whom any two sign. They are honest: what they sign, each time, leaves no more liars in than the members stand. */
export class Board {
  readonly operators: Operators
  readonly #notary: Notary

  constructor(notary: Notary) {
    this.#notary = notary
    this.operators = { keys: ['o0', 'o1', 'o2'].map((name) => notary.register(name)), threshold: 2 }
  }

  /** `by`: which of them sign; one alone is one too few. */
  sign({ epoch, domain }: Members, voters: readonly Voter[], by: readonly number[] = [0, 2]): Uint8Array {
    const { operators } = this
    const members = voters
      .map(({ id, key, address }) => ({ id, key, ...(address !== undefined && { address }) }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    const configuration = { epoch, members, operators }
    const statement = configurationStatement(sha256, domain, configuration)
    const approve = (operator: number) => ({
      operator,
      signature: this.#notary.sign(operators.keys[operator]!, statement),
    })
    return encodeConfiguration(configuration, by.map(approve))
  }
}

/** How many leave and come. */
function sizes(kind: ChangeKind, length: number, random: Random): { readonly leave: number; readonly come: number } {
  const most = length - faultsOf(length) - 1
  switch (kind) {
    case 'renew':
      return { leave: 0, come: 0 }
    case 'swap':
    case 'rotate':
      return { leave: 1, come: 1 }
    case 'turnover': {
      const leave = Math.min(most, 2)
      return { leave, come: leave }
    }
    case 'grow':
      return { leave: 0, come: Math.min(10 - length, random.pick([1, 2, 3])) }
    case 'shrink':
      return { leave: Math.min(length - 4, most, random.pick([1, 2, 3])), come: 0 }
  }
}

/**
 * Who votes next. More than f of those who vote now stay (what a node asks for), and at most f of the next ones lie; with `isOver`, one more, as
 * now. `seat` makes one who comes; with an id, that of whoever leaves under an old key.
 */
export function successors(
  kind: ChangeKind,
  now: readonly Seat[],
  random: Random,
  isOver: boolean,
  seat: (lies: boolean, id?: NodeId) => Seat,
): Seat[] {
  const { leave, come } = sizes(kind, now.length, random)
  const isLiar = ({ plan }: Seat): boolean => plan !== undefined
  const most = isOver ? 0 : faultsOf(now.length - leave + come)
  const shuffled = random.shuffle(now)
  const liars = shuffled.filter(isLiar)
  const due = isOver ? 0 : Math.max(0, liars.length - most)
  const first = isOver ? [] : liars.slice(0, due)
  const others = shuffled.filter((one) => !first.includes(one) && !(isOver && isLiar(one)))
  const leavers = [...first, ...others].slice(0, Math.max(leave, due))
  const next = now.filter((one) => !leavers.includes(one))
  for (let i = 0; i < come; i++) {
    const mayLie = next.filter(isLiar).length < most
    next.push(seat(mayLie && random.chance(0.4), kind === 'rotate' ? leavers[0]?.id : undefined))
  }
  return next
}
