/** Certified Raft: the Byzantine-tolerant protocol as a pure, synchronous machine. */
export {
  assemble,
  type Certificate,
  certificateChecks,
  flawOfCertificate,
  flawOfTermCertificate,
  highestLock,
  type Mandate,
  mandateChecks,
  type Signature,
  type TermCertificate,
  type TermVote,
  termCertificateChecks,
  termVoteCheck,
} from './certificate.ts'
export { type Checkpoint, type CheckpointCertificate, checkpointStatement } from './checkpoint.ts'
export { type Committed, decodeCommitted, encodeCommitted, positionsOf, receiptIn, receiptOf } from './committed.ts'
export { decodeMessage, encodeMessage, termCertificateHash } from './encoding.ts'
export {
  type Entry,
  type EntryKind,
  flawOfEntry,
  type Header,
  headerHash,
  itemsRoot,
  leafOf,
  leavesOf,
  readEntry,
  span,
} from './entry.ts'
export {
  type Approval,
  type Configuration,
  checkEpochs,
  configurationChecks,
  configurationStatement,
  decodeConfiguration,
  encodeConfiguration,
  epochsIn,
  flawOfConfiguration,
  flawOfStep,
  nextMembers,
  readEpochs,
  type Step,
  verifyEpochs,
} from './epochs.ts'
export { type Claim, claimStatement, inOrder, type SignedClaim } from './evidence/claim.ts'
export { decodeEvidence, type Evidence, encodeEvidence, type Flaw, type ItemProof } from './evidence/evidence.ts'
export { type Case, judge, type Lie, stands, type Verdict, type Verify, verifyEvidence } from './evidence/verdict.ts'
export { type Culprit, type Dump, decodeDump, encodeDump, findCulprits } from './forensics.ts'
export { type Founding, founding, incarnationOf } from './founding.ts'
export type { Digest, Hash } from './hash.ts'
export { type CertifiedRaftOptions, certifiedRaft } from './kind.ts'
export { faults, Members, type Operators, quorum, type Voter } from './members.ts'
export { merklePath, merkleRoot, provesItem } from './merkle.ts'
export type { Message } from './messages.ts'
export { open } from './opening.ts'
export {
  checkSignatures,
  encodeReceipt,
  type Proven,
  type Receipt,
  readReceipt,
  type Trust,
  verifyReceipt,
} from './receipt.ts'
export { decodeRequest, encodeRequest, mostOperations, type Request, requestCheck } from './request.ts'
export {
  append,
  askForTerm,
  type Ballot,
  enterTerm,
  firstBallot,
  lockOn,
  mayAppend,
  mayCommit,
  type Tree,
} from './rules.ts'
export {
  Server,
  type ServerAsk,
  type ServerEffects,
  type ServerEvent,
  type ServerHappening,
  type Settings,
} from './server.ts'
export {
  type Check,
  compareRank,
  leadStatement,
  type Phase,
  type Place,
  termVoteStatement,
  voteStatement,
} from './statement.ts'
export { meet } from './succession.ts'
