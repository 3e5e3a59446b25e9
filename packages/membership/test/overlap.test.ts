import type { Config, Member, Standing } from '@raftkit/contract'
import { isVoter } from '@raftkit/contract'
import { jointConsensus, type MembershipRequest } from '@raftkit/membership'
import { expect, test } from 'vitest'
import { allWell, config, text } from './notation.ts'

// Everything that can happen to a configuration of up to five ids, one of them also under a second incarnation: every request,
// and every step that follows by itself whoever has caught up. Ids are alike but for their names, so that of all configurations
// with the same roles one is enough.

const policy = jointConsensus()
const ids = [...'abcde']

type Pair = `${string}@${string}`
const pairOf = ({ id, incarnation }: Member): Pair => `${id}@${incarnation}`

/** Sets of members as bits, by pair, the same for all configurations. */
const bits = new Map<Pair, number>(
  [...ids.map((id): Pair => `${id}@1`), 'a@2' as const].map((pair, i) => [pair, 1 << i]),
)
const everybody = (1 << bits.size) - 1

const known = new Map<string, boolean[]>()

function quorums(of: Config): boolean[] {
  const name = text(of)
  let all = known.get(name)
  if (all === undefined) {
    all = Array.from({ length: everybody + 1 }, (_, set) =>
      policy.isQuorum(of, (member) => (set & bits.get(pairOf(member))!) !== 0),
    )
    known.set(name, all)
  }
  return all
}

/** No quorum of one may be disjoint from a quorum of the other. A superset of a quorum is one, so the complement tells. */
function overlap(a: boolean[], b: boolean[]): boolean {
  return a.every((isQuorum, set) => !isQuorum || !b[everybody & ~set])
}

/** The other names, by role: one form for all configurations that differ in names only. `a` keeps its own, it has two incarnations. */
function canonical({ format, members }: Config): Config {
  const kept = members.filter(({ id }) => id === 'a')
  const others = members.filter(({ id }) => id !== 'a').map(({ role }) => role)
  const renamed = others.sort().map((role, i): Member => ({ id: ids[i + 1]!, incarnation: '1', role }))
  return { format, members: [...kept, ...renamed] }
}

function* requests(of: Config): Generator<MembershipRequest> {
  const stateOf = (id: string): string => of.members.find((member) => member.id === id)?.role ?? 'absent'
  // Ids in the same role are alike, and stand side by side: asking for the first of them is enough.
  const alike = ids.map((id, i) => i > 1 && stateOf(id) === stateOf(ids[i - 1]!))
  const newcomers = ids.filter((_, i) => !alike[i]).map((id) => ({ id, incarnation: '1' }))
  newcomers.push({ id: 'a', incarnation: '2' })
  for (const newcomer of newcomers) {
    const { id } = newcomer
    yield { type: 'addVoter', ...newcomer }
    yield { type: 'addLearner', ...newcomer }
    yield { type: 'promote', id }
    yield { type: 'demote', id, force: true }
    yield { type: 'remove', id, force: true }
    yield { type: 'setAddress', id, address: 'elsewhere:1' }
    for (const old of of.members) yield { type: 'replace', id: old.id, with: newcomer, force: true }
  }
  for (let target = 0; target < 3 ** ids.length; target++) {
    const parts = ids.map((_, i) => Math.floor(target / 3 ** i) % 3)
    if (parts.some((part, i) => alike[i] && part < parts[i - 1]!)) continue
    for (const incarnation of parts[0] === 0 ? ['1'] : ['1', '2']) {
      const part = (n: number) =>
        ids.filter((_, i) => parts[i] === n).map((id) => ({ id, incarnation: id === 'a' ? incarnation : '1' }))
      yield { type: 'change', voters: part(1), learners: part(2), force: true }
    }
  }
}

function* standings({ members }: Config): Generator<Standing> {
  const joining = members.filter(({ role }) => role === 'joining')
  for (let ready = 0; ready < 1 << joining.length; ready++)
    yield {
      reachable: () => true,
      caughtUp: (member) => joining.some((each, i) => pairOf(each) === pairOf(member) && ready & (1 << i)),
    }
}

function* successors(of: Config): Generator<Config> {
  // Of a joint one, every request is refused (see requests.test.ts); it takes time to ask for all.
  for (const request of isJoint(of) ? [] : requests(of)) {
    try {
      yield policy.begin(of, request, allWell)
    } catch (error) {
      if ((error as { outcome?: string }).outcome !== 'refused') throw error
    }
  }
  for (const standing of standings(of)) {
    const next = policy.next(of, standing)
    if (next !== undefined) yield next
  }
}

const voters = ({ members }: Config): string => members.filter(isVoter).map(pairOf).sort().join()

test('any two quorums of neighbouring configurations intersect, whatever is asked and whoever has caught up', () => {
  const found = new Set<string>()
  const steps = { begun: 0, followed: 0 }
  const waiting: Config[] = []
  const meet = (of: Config): void => {
    const name = text(of)
    if (found.has(name)) return
    found.add(name)
    waiting.push(of)
  }
  meet(config('a'))

  for (let of = waiting.pop(); of !== undefined; of = waiting.pop()) {
    const here = quorums(of)
    if (!overlap(here, here)) expect.fail(`two quorums of ${text(of)} are disjoint`)
    expectSound(of)
    for (const next of successors(of)) {
      const there = quorums(next)
      if (!overlap(here, there)) expect.fail(`${text(of)} -> ${text(next)}: two quorums are disjoint`)
      if (!isJoint(of) && !isJoint(next) && voters(of) !== voters(next))
        expect.fail(`${text(of)} -> ${text(next)}: without a joint step`)
      if (isJoint(of)) steps.followed++
      else steps.begun++
      meet(canonical(next))
    }
  }
  // Nothing was skipped: these are numbers of the policy, and change only with it.
  expect({ configurations: found.size, ...steps }).toEqual({ configurations: 2824, begun: 253_547, followed: 2199 })
}, 120_000)

const isJoint = ({ members }: Config): boolean =>
  members.some(({ role }) => role === 'incoming' || role === 'outgoing' || role === 'demoted')

/** What holds in every configuration that can come about. */
function expectSound(of: Config): void {
  const { members } = of
  const roles = members.map(({ role }) => role)
  const planned = roles.includes('leaving') || roles.includes('retiring')
  const fail = (why: string): never => expect.fail(`${text(of)}: ${why}`)
  if (!policy.isQuorum(of, () => true)) fail('nobody can decide')
  if (planned && !roles.includes('joining')) fail('a replacement that waits for nobody')
  if (planned && isJoint(of)) fail('planned and joint at once')
  const doubles = members.filter(({ id }) => id === 'a')
  if (doubles.length > 1 && !doubles.some(({ role }) => role === 'leaving' || role === 'outgoing'))
    fail('an id under two incarnations, and none of them goes')
  const sorted = members.map(pairOf)
  if (sorted.some((pair, i) => i > 0 && pair <= sorted[i - 1]!)) fail('not sorted, or listed twice')
  // With everybody up to date it settles, and only a joint step lies between two simple ones.
  let at = of
  for (let steps = 0; ; steps++) {
    const next = policy.next(at, allWell)
    if (next === undefined) break
    if (steps === 3) fail('does not settle')
    at = next
  }
  if (at.members.some(({ role }) => role !== 'voter' && role !== 'learner')) fail(`settles at ${text(at)}`)
}
