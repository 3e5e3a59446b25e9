import { Random } from '../../random.ts'
import { type OperationKind, operationKinds, type Plan } from '../plan.ts'

/** One operation of a client, as the plan has it; whom it is asked of is found when it begins. */
export interface Order {
  readonly name: string
  readonly kind: OperationKind
  readonly key: string
  /** fill: bytes. */
  readonly size: number
  /** In [0, 1): which server, of those that run. Below `followers`, the leader is preferred. */
  readonly where: number
  readonly leader: boolean
  /** Milliseconds until the client gives up, if it does. */
  readonly abortAfter: number | undefined
  /** Milliseconds to wait before. */
  readonly pause: number
}

/** The orders of one client. Each is drawn from its own number, so that leaving one out changes no other. */
export function orders(plan: Plan, client: string): (number: number) => Order | undefined {
  const { workload, node } = plan
  const kinds = operationKinds.filter((kind) => workload.mix[kind] > 0)
  const total = kinds.reduce((sum, kind) => sum + workload.mix[kind], 0)
  const without = new Set(workload.without)
  return (number) => {
    const name = `${client}:${number}`
    if (without.has(name)) return undefined
    const random = new Random(`${plan.seed}/order/${name}`)
    let left = random.next() * total
    const kind =
      kinds.find((each) => {
        left -= workload.mix[each]
        return left < 0
      }) ?? 'put'
    return {
      name,
      kind,
      // Keys get old: a checker of histories wants few operations of each.
      key: `k${random.below(workload.keys)}.${Math.floor(number / 25)}`,
      size: random.pick([100, 5_000, 100_000, 300_000]),
      where: random.next(),
      leader: random.chance(0.5),
      abortAfter: random.chance(workload.aborts) ? random.between(0, node.timing.electionTimeout! * 2) : undefined,
      pause: random.next() * workload.pause,
    }
  }
}
