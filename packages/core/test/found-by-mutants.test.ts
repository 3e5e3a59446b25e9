import { describe, expect, test } from 'vitest'
import { Writes } from '../src/writes.ts'
import { configOf, Stage } from './stage.ts'

/*
 * What `npm run mutants` found to be held by no test: each of these fails where its bug is put in.
 */

const offer = (name: string, index: number, term: number, stage: Stage, leads = term): Parameters<Stage['say']>[1] => ({
  type: 'offerSnapshot',
  term: leads,
  round: 1,
  snapshot: {
    name,
    index,
    term,
    bytes: 2,
    config: configOf(stage.world, { a: 'voter', b: 'voter', c: 'voter' }),
    configIndex: 1,
    time: 0,
  },
})

/** The whole blob, once it is asked for. */
function bring(stage: Stage, name: string, text = '[]'): void {
  const bytes = new TextEncoder().encode(text)
  stage.subject.disk.blobs.set(name, bytes)
}

describe('votes', () => {
  test('a vote is kept over an election timeout: the term has no second one (§5.2)', () => {
    const stage = new Stage()
    stage.say('b', stage.requestVote(2, [9, 9]))
    expect(stage.heard('vote')).toMatchObject([{ to: 'b', granted: true }])
    for (let n = 0; n < 3; n++) stage.pass(2500)
    stage.heard('vote')
    stage.say('c', stage.requestVote(2, [9, 9]))
    expect(stage.heard('vote')).toMatchObject([{ to: 'c', granted: false }])
  })

  test('a candidate answers the pre-vote of another, and grants it to a longer log (rabbitmq/ra#439)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.do({ type: 'campaign' })
    expect(subject.role).toBe('candidate')
    stage.world.now += 5000
    stage.say('b', stage.requestVote(3, [9, 1], true))
    expect(stage.heard('vote')).toMatchObject([{ to: 'b', granted: true, pre: true }])
  })

  test('one that does not know of its promotion votes all the same (raft-rs#57)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [[2, configOf(stage.world, { a: 'learner', b: 'voter', c: 'voter' })]], 2))
    expect(subject.raft.status().config.members.find(({ id }) => id === 'a')?.role).toBe('learner')
    stage.world.now += 5000
    stage.say('c', stage.requestVote(3, [9, 2]))
    expect(stage.heard('vote')).toMatchObject([{ to: 'c', granted: true }])
  })
})

describe('replication', () => {
  test('an older completion takes nothing back of a newer one (openraft#1960)', () => {
    const writes = new Writes()
    writes.issue(1, 0)
    writes.promised()
    const newest = writes.issue(2, 0)
    writes.complete(newest)
    writes.complete(newest - 1)
    expect(writes).toMatchObject({ durable: newest, durableIndex: 2, isPromiseDurable: true })
  })

  test('what was cut before it was written is written anew from the cut on, not from where the write would have begun (kanaka/raft.js)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2]))
    stage.arrive('b', stage.append(2, [3, 2], [2, 2]))
    stage.arrive('c', stage.append(3, [1, 1], [3, 3, 3, 3]))
    subject.take()
    subject.restart()
    expect(subject.terms).toBe('1:1 2:3 3:3 4:3 5:3')
  })
})

describe('snapshots', () => {
  test('who stands for election takes the snapshot of a leader of its term, and stands no more (ra PR 607)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.do({ type: 'campaign' })
    expect(subject.role).toBe('candidate')
    bring(stage, 's9')
    stage.say('b', offer('s9', 9, 2, stage))
    expect(subject.role).toBe('follower')
    expect(subject.raft.state.snapshot?.name).toBe('s9')
  })

  test('an installed snapshot leaves no configuration of the old log in force, committed or not (openraft#1808)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, [2, configOf(stage.world, { a: 'voter', b: 'voter' })]], 1))
    expect(subject.raft.status().config.members.map(({ id }) => id)).toEqual(['a', 'b'])
    bring(stage, 's9')
    stage.say('c', offer('s9', 9, 3, stage))
    expect(subject.raft.state.snapshot?.name).toBe('s9')
    expect(subject.raft.status().config.members.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })

  test('a local snapshot that is finished after a newer one was installed does not replace it, though the log still reaches back (ra de94f929)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2, 2, 2], 6))
    const newer = subject.snapshot()
    subject.disk.blobs.set('late', new TextEncoder().encode('[]'))
    subject.do({ type: 'snapshot', name: 'late', index: 3, bytes: 2 })
    expect(subject.raft.state.snapshot).toMatchObject({ name: newer, index: 6 })
  })
})
