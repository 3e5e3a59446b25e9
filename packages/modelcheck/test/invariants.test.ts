import { encodeRecords, recordKind } from '@raftkit/bytes'
import { describe, expect, test } from 'vitest'
import {
  afterJoint,
  checkDisk,
  checkSent,
  checkServer,
  checkStep,
  holds,
  isQuorum,
  logsMatch,
  type Reopened,
} from '../src/invariants.ts'
import { type Log, Logs, type Voter } from '../src/system/logs.ts'
import { everything } from '../src/system/scope.ts'
import { System } from '../src/system/system.ts'
import { type Known, type News, nothing, told } from '../src/system/watcher.ts'

const logs = new Logs()

/** A log of these terms; `tag` tells entries of one term and index apart. */
function log(terms: readonly number[], first = 1, tag = ''): Log {
  const records = terms.map((term, at) =>
    encodeRecords(
      [
        {
          kind: recordKind.command,
          index: first + at,
          term,
          time: 0,
          seed: first + at,
          payload: new TextEncoder().encode(`${term}${tag}`),
        },
      ],
      0,
    ),
  )
  return logs.of({ state: undefined, first, records })
}

const self = { id: 'n1', incarnation: '0'.repeat(32) }
const disk = (term: number, vote: string | undefined, terms: readonly number[]): Reopened => ({
  term,
  vote: vote === undefined ? undefined : { ...self, id: vote },
  log: log(terms),
  snapshot: undefined,
})
const fires = (invariant: string, check: () => unknown): void =>
  expect(check).toThrowError(expect.objectContaining({ name: 'Violation', invariant }))

/** A real server that leads, and what its disk says. */
function leader(): { raft: Parameters<typeof checkServer>[0]; memory: Log; disk: Reopened } {
  const system = new System({ name: '', about: '', servers: ['n1', 'n2', 'n3'], budgets: {}, term: 3, isLed: true })
  const { life, contents } = system.server(system.initial.processes[0]!)
  const memory = logs.of(contents.at(-1)!)
  const { term, vote } = life!.protocol.state
  return { raft: life!.protocol, memory, disk: { term, vote, log: memory, snapshot: undefined } }
}

describe('logs', () => {
  test('match where terms are equal', () => {
    expect(logsMatch(log([1, 1, 2]), log([1, 1, 2, 3]))).toBe(true)
    expect(logsMatch(log([1, 1, 2]), log([1, 1, 3]))).toBe(true)
    expect(logsMatch(log([1, 2, 2]), log([1, 1, 2]))).toBe(false)
    expect(logsMatch(log([1, 2]), log([1, 2], 1, 'another'))).toBe(false)
    expect(logsMatch(log([2, 2], 2), log([1, 2, 2]))).toBe(true)
  })

  test('hold entries, or have compacted them', () => {
    const ids = log([1, 1, 2]).entries.map(({ id }) => id)
    expect(holds(log([1, 1, 2, 2]), ids)).toBe(true)
    expect(holds(log([1, 1]), ids)).toBe(false)
    expect(holds(log([1, 1, 3]), ids)).toBe(false)
    expect(holds(log([2], 3), ids)).toBe(true)
  })
})

describe('quorums', () => {
  const members = (...roles: readonly ('voter' | 'incoming' | 'outgoing' | 'demoted' | 'learner')[]) =>
    roles.map((role, at) => ({ id: `n${at + 1}`, incarnation: '', role }))
  const of = (joint: readonly Voter[], ...ids: readonly string[]): boolean => isQuorum(joint, (id) => ids.includes(id))

  test('are majorities of the voters, before and after', () => {
    expect(of(members('voter', 'voter', 'voter'), 'n1', 'n2')).toBe(true)
    expect(of(members('voter', 'voter', 'voter', 'voter'), 'n1', 'n2')).toBe(false)
    expect(of(members('voter', 'learner'), 'n1')).toBe(true)
    const joint = members('outgoing', 'voter', 'voter', 'incoming')
    expect(of(joint, 'n1', 'n2')).toBe(false)
    expect(of(joint, 'n2', 'n3')).toBe(true)
    expect(of(afterJoint(joint), 'n2', 'n4')).toBe(true)
    expect(of(afterJoint(members('demoted', 'voter')), 'n1')).toBe(false)
  })
})

describe('each invariant fires on what breaks it', () => {
  test('durable before sent', () => {
    const sent = (message: Parameters<typeof checkSent>[0], from: Reopened, memory = log([1, 1])): unknown =>
      checkSent(message, 'n2', self, from, memory)
    const vote = { type: 'vote', term: 2, forTerm: 2, pre: false, ballot: 1, granted: true } as const
    sent(vote, disk(2, 'n2', [1, 1]))
    fires('durable before sent', () => sent(vote, disk(1, undefined, [1, 1])))
    fires('durable before sent', () => sent(vote, disk(2, undefined, [1, 1])))
    fires('durable before sent', () => sent(vote, disk(2, 'n3', [1, 1])))
    sent({ ...vote, pre: true, forTerm: 3 }, disk(2, undefined, [1, 1]))
    const ask = {
      type: 'requestVote',
      term: 2,
      pre: false,
      ballot: 1,
      lastIndex: 2,
      lastTerm: 1,
      transfer: false,
    } as const
    sent(ask, disk(2, 'n1', [1, 1]))
    fires('durable before sent', () => sent(ask, disk(2, undefined, [1, 1])))
    fires('durable before sent', () => sent(ask, disk(1, undefined, [1, 1])))
    sent({ ...ask, pre: true }, disk(1, undefined, [1, 1]))
    const acknowledged = { type: 'appended', term: 1, round: 1, match: 2, received: 2 } as const
    sent(acknowledged, disk(1, undefined, [1, 1]))
    fires('durable before sent', () => sent(acknowledged, disk(1, undefined, [1])))
    fires('durable before sent', () => sent(acknowledged, disk(2, undefined, [1, 2]), log([1, 1])))
    fires('durable before sent', () => sent({ ...acknowledged, term: 3 }, disk(2, undefined, [1, 1])))
  })

  test('one vote a term', () => {
    checkDisk('n1', disk(1, undefined, []), disk(1, 'n2', []))
    checkDisk('n1', disk(1, 'n2', []), disk(2, undefined, []))
    fires('one vote a term', () => checkDisk('n1', disk(1, 'n2', []), disk(1, 'n3', [])))
    fires('one vote a term', () => checkDisk('n1', disk(1, 'n2', []), disk(1, undefined, [])))
    fires('one vote a term', () => checkDisk('n1', disk(2, undefined, []), disk(1, undefined, [])))
  })

  test('what a server says of itself', () => {
    const { raft, memory, disk: own } = leader()
    checkServer(raft, own, memory)
    fires('no hole', () => checkServer(raft, own, log([1])))
    fires('log equals writes', () => checkServer(raft, own, log([1, 1])))
    fires('durable is durable', () => checkServer(raft, { ...own, log: log([]) }, memory))
    const broken = raft.fork()
    broken.writes.durableIndex = 9
    fires('durable is durable', () => checkServer(broken, own, memory))
    const eager = raft.fork()
    eager.applied = 3
    fires('applied ≤ commit ≤ last', () => checkServer(eager, own, memory))
    const old = raft.fork()
    old.state = { ...old.state, term: 1 }
    fires('terms rise', () => checkServer(old, own, memory))
    const stale = raft.fork()
    stale.log.configs = []
    fires('configuration is what the log says', () => checkServer(stale, own, memory))
    const snapshot = { name: 's', index: 2, term: 1, bytes: 1, configIndex: 1, time: 0, config: raft.status().config }
    const contradicted = raft.fork()
    contradicted.state = { ...contradicted.state, snapshot }
    fires('log goes on from the snapshot', () => checkServer(contradicted, own, memory))
    const holed = raft.fork()
    holed.log.first = 2
    fires('no hole', () => checkServer(holed, own, memory))
  })

  test('what a step may not do', () => {
    const { raft, memory } = leader()
    const after = (change: (copy: typeof raft) => void): typeof raft => {
      const copy = raft.fork()
      change(copy)
      return copy
    }
    const step = (copy: typeof raft, now = memory): unknown => checkStep(raft, copy, memory, now)
    step(raft)
    fires('term rises', () =>
      step(
        after((copy) => {
          copy.state = { ...copy.state, term: 1 }
        }),
      ),
    )
    fires('commit rises', () =>
      step(
        after((copy) => {
          copy.commit = 1
        }),
      ),
    )
    fires('applied rises', () =>
      step(
        after((copy) => {
          copy.applied = 1
        }),
      ),
    )
    fires('what is committed stays', () => step(raft, log([1, 3])))
    raft.commit = 1
    fires('a leader only appends', () => checkStep(raft, raft, log([1, 2]), log([1])))
  })
})

describe('the watcher', () => {
  const after = (...news: readonly News[]): Known =>
    news.reduce((known, item) => told(known, item, logs, everything), nothing)
  const commits = (of: Log, term: number, index: number): News => ({
    type: 'commits',
    id: 'n1',
    term,
    log: of.id,
    index,
  })
  const leads = (of: Log, term: number, slot = 0): News => ({
    type: 'leads',
    slot,
    id: `n${slot + 1}`,
    term,
    log: of.id,
  })

  test('knows election safety', () => {
    after(leads(log([]), 1), leads(log([]), 2, 1))
    fires('election safety', () => after(leads(log([]), 1), leads(log([]), 1, 1)))
    fires('election safety', () => after(leads(log([]), 1), leads(log([]), 1)))
  })

  test('knows leader completeness', () => {
    after(commits(log([1, 1]), 1, 1), leads(log([1, 2]), 2))
    after(commits(log([1, 2]), 3, 2), leads(log([1]), 2))
    fires('leader completeness', () => after(commits(log([1, 1]), 1, 2), leads(log([1]), 2)))
    fires('leader completeness', () => after(commits(log([1, 1]), 1, 2), leads(log([1, 2]), 3)))
  })

  test('knows state machine safety', () => {
    after(commits(log([1, 1]), 1, 2), commits(log([1, 1, 2]), 2, 3), commits(log([1]), 1, 1))
    fires('state machine safety', () => after(commits(log([1, 1]), 1, 2), commits(log([1, 2]), 2, 2)))
    fires('no hole', () => after(commits(log([1]), 1, 2)))
    const holding = (state: string): News => ({ type: 'holds', id: 'n1', index: 2, state })
    after(commits(log([1, 2]), 2, 2), holding('1,2'))
    fires('state machine safety', () => after(commits(log([1, 2]), 2, 2), holding('1')))
    const spoilt = { ...everything, wrong: () => 'it is spoilt' }
    fires('machine', () => told(after(commits(log([1, 2]), 2, 2)), holding('1,2'), logs, spoilt))
  })

  test('knows what clients were told', () => {
    const committed = commits(log([1, 2]), 2, 2)
    after(committed, { type: 'acknowledged', proposal: 2, index: 2, term: 2 })
    fires('acknowledged is committed', () => after({ type: 'acknowledged', proposal: 2, index: 2, term: 2 }))
    fires('acknowledged is committed', () => after(committed, { type: 'acknowledged', proposal: 2, index: 2, term: 1 }))
    fires('refused is not committed', () => after(committed, { type: 'refused', proposal: 2 }))
    fires('refused is not committed', () => after({ type: 'refused', proposal: 2 }, committed))
  })

  test('knows what a read must see', () => {
    const done: readonly News[] = [commits(log([1, 2]), 2, 2), { type: 'acknowledged', proposal: 2, index: 2, term: 2 }]
    const asked: News = { type: 'asked', read: 100 }
    const answered = (state: string, read = 100): News => ({ type: 'answered', read, state })
    after(...done, asked, answered('1,2'))
    after(asked, ...done, answered('1'))
    fires('reads are linearizable', () => after(...done, asked, answered('1')))
    fires('reads are linearizable', () => after(...done, asked, answered('')))
    // What one read has seen, no later one may miss.
    const other: News = { type: 'asked', read: 101 }
    fires('reads are linearizable', () => after(asked, answered('1,2'), other, answered('1', 101)))
    after(asked, other, answered('1,2'), answered('1', 101))
  })
})
