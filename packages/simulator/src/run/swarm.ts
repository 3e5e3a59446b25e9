import { Random } from '../random.ts'
import { type ActKind, clockKinds, diskKinds, networkKinds, operatorKinds, processKinds } from './acts/kinds.ts'
import { type Act, type NodePlan, type OperationKind, operationKinds, type Plan, type WorkloadPlan } from './plan.ts'

/**
 * A plan from a seed. Every seed turns a random subset of features on and leaves the others out entirely: leaving out finds more than having
 * a little of everything (Groce et al., ISSTA 2012).
 */
export function drawPlan(seed: number, events = 20_000): Plan {
  const random = new Random(seed).split('plan')
  const founders = random.pick([1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7])
  const spares = founders < 3 ? random.below(3) : random.below(4)
  // Leases stand or fall with the bound on drift; two clocks apart by e each way differ by less than 2e / (1 + e).
  const drift = random.chance(0.4) ? random.pick([0.02, 0.1, 0.3]) : undefined
  const wander = random.chance(0.5) ? (drift ?? 0.2) / 2 : 0
  const node = drawNode(random.split('node'), drift)
  const weather = drawWeather(random.split('weather'), node.timing.electionTimeout!)
  return {
    version: 1,
    seed,
    events,
    founders,
    spares,
    node,
    rates: Array.from({ length: founders + spares }, () => 1 + random.between(-wander, wander)),
    network: drawNetwork(random.split('network'), node.timing.electionTimeout!),
    weather,
    storage: random.split('storage').chance(0.3) ? 'wal' : 'virtual',
    wear: drawWear(random.split('wear'), node.timing.electionTimeout!),
    acts: drawActs(random.split('acts'), {
      founders,
      spares,
      events,
      wander,
      timeout: node.timing.electionTimeout!,
      everyEntries: (node.snapshots as { readonly everyEntries: number }).everyEntries,
    }),
    workload: drawWorkload(random.split('workload'), node, events),
    ...drawListen(random.split('listen'), node.timing.electionTimeout!),
  }
}

/** Spread over the orders of magnitude between 1 and `most`: Math.log would differ between versions of V8. */
function magnitude(random: Random, most: number): number {
  let high = 1
  const steps: number[] = []
  while (high < most) {
    steps.push(high)
    high *= 2
  }
  const low = steps.length === 0 ? 1 : random.pick(steps)
  return Math.min(most, low + random.below(low))
}

function drawNode(random: Random, drift: number | undefined): NodePlan {
  const electionTimeout = random.pick([50, 150, 300, 1000, 1000, 3000])
  const small = random.chance(0.4)
  return {
    timing: {
      electionTimeout,
      heartbeatInterval: electionTimeout / random.pick([3, 5, 10, 10]),
      diskTimeout: electionTimeout * random.pick([1, 2, 5]),
    },
    limits: {
      proposalBytes: 64 * 1024,
      uncommittedBytes: small ? 2048 : 1024 * 1024,
      inflightBytes: random.pick([512, 16 * 1024, 1024 * 1024]),
      inflightMessages: random.pick([1, 2, 8, 256]),
      cacheBytes: random.pick([0, 4096, 1024 * 1024]),
      catchUpEntries: random.pick([0, 1, 16, 256]),
      ...(small ? { waitingCalls: random.pick([2, 16, 256]), waitingBytes: 16 * 1024 } : {}),
    },
    snapshots: {
      everyEntries: magnitude(random, 1000),
      everyBytes: random.pick([4096, 1024 * 1024]),
      trailingEntries: random.pick([0, 1, 10, 100]),
    },
    sessions: {
      maxSessions: random.pick([1, 2, 4, 64, 10_000]),
      attemptTimeout: electionTimeout * random.pick([1, 3, 5]),
    },
    timeout: electionTimeout * random.pick([3, 10, 30]),
    closeTimeout: random.pick([0, electionTimeout, 5 * electionTimeout]),
    ...(drift === undefined ? {} : { leases: { drift } }),
  }
}

function drawNetwork(random: Random, electionTimeout: number): Plan['network'] {
  const maxFrameBytes = random.pick([65_536, 65_536, 1024 * 1024])
  return {
    maxFrameBytes,
    queueBytes: maxFrameBytes * random.pick([2, 64]),
    reconnect: electionTimeout / random.pick([2, 10, 20]),
    keepalive: electionTimeout * random.pick([0.5, 2, 10]),
  }
}

function drawWeather(random: Random, electionTimeout: number): Plan['weather'] {
  const fastest = random.between(0, electionTimeout / 50)
  const rate = (often: number, most: number): number => (random.chance(often) ? random.between(most / 50, most) : 0)
  return {
    delay: [fastest, fastest + random.between(0, electionTimeout / random.pick([200, 50, 10]))],
    loss: rate(0.5, 0.1),
    duplicate: rate(0.4, 0.2),
    replay: rate(0.4, 0.1),
    reorder: rate(0.5, 0.3),
    late: electionTimeout * random.pick([0.05, 0.2, 2]),
  }
}

/** Disks that are slower than this can not bear the election timeout; `disk-slow` and `disk-stall` make them so for a while. */
function drawWear(random: Random, electionTimeout: number): Plan['wear'] {
  const flush = electionTimeout * random.pick([0.0005, 0.002, 0.005, 0.02])
  return {
    flush: [flush, flush * random.pick([1, 2, 5])],
    read: [0.01, electionTimeout * random.pick([0.0005, 0.005])],
    slow: random.chance(0.3) ? random.between(0.001, 0.05) : 0,
    detects: random.pick([0, 0.5, 1]),
    segmentBytes: random.pick([65_536, 262_144]),
  }
}

interface Circumstances {
  readonly founders: number
  readonly spares: number
  readonly events: number
  readonly wander: number
  readonly everyEntries: number
  readonly timeout: number
}

/** Kinds that this cluster can never do are not drawn: each drawn one must happen. */
function possible(kind: ActKind, { founders, spares, wander, everyEntries }: Circumstances): boolean {
  switch (kind) {
    case 'ring':
    case 'bridge':
      return founders >= 4
    case 'wipe':
    case 'rot-record':
    case 'rot-blob':
    case 'rot-state':
    case 'misdirect-record':
      return founders >= 3
    case 'add-voter':
    case 'add-learner':
    case 'replace':
      return spares >= 1
    case 'change-many':
      return founders >= 2 && spares >= 2
    case 'promote':
    case 'demote':
    case 'remove':
      return founders >= 3
    case 'misdirect-blob':
      // Two snapshots must have been taken.
      return founders >= 3 && everyEntries <= 20
    case 'clock-drift':
      return wander > 0
    case 'kill':
    case 'kill-leader':
    case 'kill-between-effects':
    case 'kill-all':
    case 'blackout':
    case 'restart':
    case 'snapshot':
    case 'pause':
    case 'pause-leader':
    case 'stall-between-effects':
    case 'slow':
    case 'disk-stall':
    case 'disk-slow':
    case 'disk-error':
    case 'disk-full':
    case 'wall-jump':
      return true
    default:
      return founders >= 2
  }
}

function drawActs(random: Random, circumstances: Circumstances): Act[] {
  const { events, timeout } = circumstances
  const kinds: ActKind[] = []
  for (const [family, share] of [
    [networkKinds, 0.35],
    [processKinds, 0.35],
    [diskKinds, 0.25],
    [clockKinds, 0.5],
    [operatorKinds, random.pick([0, 0.3, 0.7])],
  ] as const)
    for (const kind of family) if (random.chance(share) && possible(kind, circumstances)) kinds.push(kind)
  if (kinds.length === 0) return []
  // Each once, and more of them as the seed says.
  const more = Math.floor((events / 1000) * random.pick([0.3, 1, 3]))
  const chosen = [...kinds, ...Array.from({ length: more }, () => random.pick(kinds))]
  return random
    .shuffle(chosen)
    .map((kind) => ({
      at: Math.floor(events * random.between(0.03, 0.85)),
      kind,
      pick: random.bits(),
      lasts: Math.ceil((timeout * magnitude(random, 80)) / 10),
    }))
    .sort((a, b) => a.at - b.at)
}

function drawListen(random: Random, electionTimeout: number): Pick<Plan, 'listen'> {
  if (!random.chance(0.25)) return {}
  return { listen: { buffer: random.pick([1, 8, 1000]), pause: electionTimeout * random.pick([0.01, 0.5]) } }
}

function drawWorkload(random: Random, node: NodePlan, events: number): WorkloadPlan {
  const mix = {} as Record<OperationKind, number>
  for (const kind of operationKinds) mix[kind] = random.chance(0.6) ? 1 + random.below(8) : 0
  mix.put += 1 + random.below(8)
  mix.get += random.below(4)
  if (mix.fill > 0) mix.fill = 0.2
  if (!node.leases) mix.lease = 0
  const quiet: [number, number][] = []
  for (let i = random.below(3); i > 0; i--) {
    const from = random.next()
    quiet.push([from, from + random.between(0.02, 0.15)])
  }
  return {
    clients: 1 + random.below(8),
    operations: events,
    pause: node.timing.electionTimeout! * random.pick([0, 0.02, 0.1, 0.1, 0.5]),
    keys: random.pick([1, 2, 5, 20]),
    sessions: random.pick(['node', 'client']),
    mix,
    aborts: random.chance(0.4) ? random.between(0.01, 0.2) : 0,
    quiet,
  }
}
