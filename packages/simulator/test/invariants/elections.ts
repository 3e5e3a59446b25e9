import { describe } from 'vitest'
import * as durability from '../../src/invariants/durability.ts'
import * as elections from '../../src/invariants/elections.ts'
import { leads, lie, truth } from './lie.ts'

describe('elections', () => {
  lie(
    () => new elections.ElectionSafety(),
    'a second server leads the term',
    (scene) => {
      leads(scene)
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.ElectedByQuorum(),
    'a leader whom nobody elected',
    (scene) => {
      scene.claim(scene.follower, { term: 9, vote: scene.live(scene.follower).self })
      leads(scene)
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.OneVote(),
    'it changes its mind',
    (scene) => {
      scene.claim(scene.follower, { vote: scene.live(scene.other).self })
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.OneVote(),
    'it decides otherwise than its disk says',
    (scene) => {
      scene.stores(scene.follower, { term: 9, vote: 'n8/00' })
      scene.claim(scene.follower, { term: 9, vote: scene.live(scene.other).self })
      scene.stepped(scene.follower)
    },
  )
  truth(
    () => new elections.OneVote(),
    'a vote that a crash took back before it was written or told',
    (scene) => {
      const { state } = scene.live(scene.follower)
      scene.claim(scene.follower, { term: 9, vote: scene.live(scene.follower).self })
      scene.stepped(scene.follower)
      scene.claim(scene.follower, state)
      scene.witness.booted(scene.follower)
      scene.claim(scene.follower, { term: 9, vote: scene.live(scene.other).self })
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.OneVote(),
    'it tells two candidates yes',
    (scene) => {
      const vote = { type: 'vote', term: 9, forTerm: 9, pre: false, ballot: 1, granted: true } as const
      scene.send(scene.follower, vote, scene.leader)
      scene.send(scene.follower, vote, scene.other)
    },
  )
  lie(
    () => new elections.OneVote(),
    'its disk holds a vote that it did not give before',
    (scene) => {
      scene.stores(scene.follower, { vote: 'n9/00' })
    },
  )
  lie(
    () => new elections.TermRises(),
    'a term is taken back',
    (scene) => {
      scene.claim(scene.follower, { term: 0 })
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.TermRises(),
    'a disk forgets its term',
    (scene) => scene.stores(scene.follower, { term: 0 }),
  )
  lie(
    () => new elections.TermRises(),
    'a restart forgets the vote',
    (scene) => {
      scene.claim(scene.follower, { vote: scene.live(scene.other).self })
      scene.witness.booted(scene.follower)
    },
  )
  lie(
    () => new elections.PreVoteIsFree(),
    'a pre-vote raises the term',
    (scene) => {
      const message = {
        type: 'requestVote',
        term: 9,
        pre: true,
        ballot: 1,
        lastIndex: 99,
        lastTerm: 9,
        transfer: false,
      } as const
      const from = scene.live(scene.leader).self
      const event = { type: 'message', from, genesis: scene.view(scene.follower).genesis, message } as const
      scene.witness.stepping(scene.follower, event, 0)
      scene.claim(scene.follower, { term: 9 })
      scene.witness.stepped(scene.follower, event, 0)
    },
  )
  lie(
    () => new elections.Identity(),
    'a boot number comes again',
    (scene) => scene.witness.booted(scene.follower),
  )
  lie(
    () => new elections.Identity(),
    'another incarnation comes up on its disk',
    (scene) => {
      scene.claim(scene.follower, { incarnation: '00', boot: 9 })
      scene.witness.booted(scene.follower)
    },
  )
  lie(
    () => new elections.OneGenesis(),
    'a member of another cluster',
    (scene) => {
      scene.stores(scene.follower, { genesis: '00'.repeat(16) })
    },
  )
})

describe('before it is told', () => {
  const vote = { type: 'vote', term: 9, forTerm: 9, pre: false, ballot: 1, granted: true } as const
  lie(
    () => new durability.TermBeforeSend(),
    'a term that is not on the disk',
    (scene) => scene.send(scene.follower, vote),
  )
  lie(
    () => new durability.VoteBeforeSend(),
    'a vote that is not on the disk',
    (scene) => scene.send(scene.follower, vote),
  )
  lie(
    () => new durability.VoteBeforeSend(),
    'a candidate that has not written its own vote',
    (scene) => {
      const request = {
        type: 'requestVote',
        term: 9,
        pre: false,
        ballot: 1,
        lastIndex: 1,
        lastTerm: 1,
        transfer: false,
      } as const
      scene.send(scene.follower, request)
    },
  )
  lie(
    () => new durability.EntriesBeforeSend(),
    'an entry that is not on the disk',
    (scene) => {
      const { term } = scene.view(scene.follower)
      const last = scene.follower.disk.durable.last
      scene.send(scene.follower, { type: 'appended', term, round: 99, match: last + 1, received: last + 1 })
    },
  )
  lie(
    () => new durability.CommitSurvives(),
    'two of three disks lose the last entry, and one crashes',
    (scene) => {
      scene.loses(scene.follower)
      scene.loses(scene.other)
      scene.witness.crashed(scene.other, 'kill')
    },
  )
})
