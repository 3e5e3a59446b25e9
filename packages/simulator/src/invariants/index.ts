import type { Watcher } from '../watcher.ts'
import { MemoryIsBounded } from './bounds.ts'
import {
  AcknowledgedByLeader,
  CommitKnown,
  CommitOwnTerm,
  CommitRises,
  CommittedByQuorum,
  LeaderCompleteness,
  LeaderSaysItsLog,
  MatchIsTrue,
  StateMachineSafety,
} from './commits.ts'
import {
  ChangeAfterOwnCommit,
  ConfigIsRecomputed,
  NeighboursIntersect,
  OneChangeAtATime,
  OnlyListed,
} from './configurations.ts'
import { LeaseIsEarned, ReadIsConfirmed } from './confirmation.ts'
import { CommitSurvives, EntriesBeforeSend, TermBeforeSend, VoteBeforeSend } from './durability.ts'
import {
  ElectedByQuorum,
  ElectionSafety,
  Identity,
  OneGenesis,
  OneVote,
  PreVoteIsFree,
  TermRises,
} from './elections.ts'
import type { Judge } from './invariant.ts'
import {
  CommittedStays,
  LeaderAppendOnly,
  LogMatching,
  NoHole,
  NothingUnwritten,
  TermsAlongTheLog,
  WritesInOrder,
} from './logs.ts'
import { AppliedInOrder, AppliesTheLog, ExactlyOnce, ResultsAgree } from './machine.ts'
import { LeaseIsSafe, OutcomesAreTrue, ReadIndexIsFresh } from './reads.ts'
import { SnapshotIsThere, SnapshotOfCommitted, SnapshotRises, SnapshotsAgree } from './snapshots.ts'
import { Witness } from './witness.ts'

export { Witness } from './witness.ts'

/** All of them, new: an invariant remembers one run. The order is that in which they are asked. */
export const invariants = (): Judge[] => [
  new ElectionSafety(),
  new ElectedByQuorum(),
  new OneVote(),
  new TermRises(),
  new PreVoteIsFree(),
  new Identity(),
  new OneGenesis(),
  new TermBeforeSend(),
  new VoteBeforeSend(),
  new EntriesBeforeSend(),
  new NoHole(),
  new LogMatching(),
  new LeaderAppendOnly(),
  new TermsAlongTheLog(),
  new NothingUnwritten(),
  new WritesInOrder(),
  new CommittedByQuorum(),
  new CommitOwnTerm(),
  new LeaderCompleteness(),
  new StateMachineSafety(),
  new CommitRises(),
  new CommitKnown(),
  new CommittedStays(),
  new CommitSurvives(),
  new AcknowledgedByLeader(),
  new MatchIsTrue(),
  new LeaderSaysItsLog(),
  new ConfigIsRecomputed(),
  new OneChangeAtATime(),
  new ChangeAfterOwnCommit(),
  new NeighboursIntersect(),
  new OnlyListed(),
  new ReadIndexIsFresh(),
  new ReadIsConfirmed(),
  new LeaseIsSafe(),
  new LeaseIsEarned(),
  new OutcomesAreTrue(),
  new AppliedInOrder(),
  new AppliesTheLog(),
  new ResultsAgree(),
  new ExactlyOnce(),
  new SnapshotOfCommitted(),
  new SnapshotRises(),
  new SnapshotIsThere(),
  new SnapshotsAgree(),
  new MemoryIsBounded(),
]

export const invariantNames: readonly string[] = invariants().map(({ name }) => name)

/** What watches one run for all invariants. */
export const allInvariants = (): Watcher[] => [new Witness(invariants())]
