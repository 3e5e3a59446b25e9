import { epochFaults, faultNames, faults } from '@raftkit/byzantine'
import { campaign, failed, type Outcome } from '../run/campaign.ts'
import { Total } from '../run/total.ts'
import type { BftWishes } from './plan.ts'
import { carryOutSeed } from './run.ts'

export interface BftCampaign {
  readonly from: number
  readonly seeds: number
  readonly wishes: BftWishes
  readonly workers: number
  readonly entry: URL
  readonly say: (line: string) => void
  readonly replay: (seed: number) => string
}

/** Fewer seeds may well leave out a fault that takes a rare occasion. */
const enoughSeeds = 400

/** Many seeds. The figures for the last line, and whether all was well. */
export async function campaignBft({
  say,
  replay,
  ...options
}: BftCampaign): Promise<{ figures: object; isWell: boolean }> {
  const { from, seeds, wishes } = options
  const total = new Total()
  const done: Record<string, number> = {}
  const counts: Record<string, number> = {}
  const broken: Outcome[] = []
  const began = performance.now()
  let shown = began
  const ended = (outcome: Outcome): undefined => {
    total.add(outcome)
    for (const [fault, count] of Object.entries(outcome.faults)) done[fault] = (done[fault] ?? 0) + count
    for (const [what, count] of Object.entries(outcome.counts)) counts[what] = (counts[what] ?? 0) + count
    if (failed(outcome)) {
      broken.push(outcome)
      say(`seed ${outcome.seed}: ${outcome.violation?.message}\nreplay: ${replay(outcome.seed)}`)
    }
    const now = performance.now()
    if (now - shown < 2000) return
    shown = now
    say(
      `${total.seeds}/${seeds} seeds, ${total.events} events, ${Math.round((total.events / (now - began)) * 1000)} per second`,
    )
  }
  if (seeds === 1) ended(await carryOutSeed(from, wishes))
  else await campaign({ ...options, ended })
  for (const { seed, violation } of broken.slice(0, 3))
    say(`\nseed ${seed}: ${violation?.message}\n${violation?.details}\n${violation?.stack}\nreplay: ${replay(seed)}`)
  const missing =
    seeds < enoughSeeds || wishes.liars !== 'mixed'
      ? []
      : [
          ...faultNames.filter((name) => faults[name].not === undefined && !done[name]),
          ...epochFaults.filter((name) => done[name] && !counts[`live ${name}`]),
        ]
  if (missing.length > 0) say(`no run committed ${missing.map((name) => `${name} (${faults[name].what})`).join(', ')}`)
  const figures = {
    protocol: 'bft',
    ...total.figures((performance.now() - began) / 1000),
    uncovered: missing.length,
    missing,
    wholeNodes: counts.nodes ?? 0,
    epochs: counts.epochs ?? 0,
    membersJoined: counts['members joined'] ?? 0,
    membersRemoved: counts['members removed'] ?? 0,
    keysRotated: counts['keys rotated'] ?? 0,
    configurationsRefused: counts['configurations refused'] ?? 0,
    forks: counts.forks ?? 0,
    detected: counts.detected ?? 0,
    culprits: counts.culprits ?? 0,
    framed: counts.framed ?? 0,
    checks: counts.checks ?? 0,
    aboutLiveEpochs: Object.fromEntries(epochFaults.map((name) => [name, counts[`live ${name}`] ?? 0])),
    faults: Object.fromEntries(faultNames.map((name) => [name, done[name] ?? faults[name].not ?? 0])),
  }
  return { figures, isWell: broken.length === 0 && missing.length === 0 }
}
