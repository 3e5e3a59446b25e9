import * as epochs from './epochs.ts'
import type { FaultName } from './faults.ts'
import * as leading from './leading.ts'
import { falseState, malformed, wrongReply } from './noise.ts'
import * as silence from './silence.ts'
import type { Behaviour } from './stage.ts'
import * as terms from './terms.ts'
import * as voting from './voting.ts'

/** By the number of the fault: what a member does to commit it. Faults that are not among them are the world's to commit. */
export const behaviours: Readonly<Partial<Record<FaultName, Behaviour>>> = {
  F1: leading.twoBatches,
  F3: leading.forkWithinTerm,
  F4: voting.twoVotes,
  F5: voting.rashCommit,
  F6: terms.hiddenLock,
  F7: terms.falseLock,
  F8: leading.hiddenVote,
  F9: leading.wrongAnchor,
  F10: leading.falseCertificate,
  F11: voting.replay,
  F12: epochs.foreignSignature,
  F13: voting.damagedSignature,
  F15: leading.forgedRequest,
  F20: leading.requestTwice,
  F21: leading.wrongShape,
  F22: leading.overCommitted,
  F23: voting.falseProgress,
  F24: voting.poisonedVotes,
  F25: silence.silentLeader,
  F26: silence.idleLeader,
  F27: silence.slowLeader,
  F28: silence.censor,
  F29: silence.selective,
  F30: leading.withheldBody,
  F31: voting.commitForOne,
  F32: terms.endlessTerms,
  F33: terms.rushToLead,
  F35: epochs.falseConfiguration,
  F36: epochs.behindConfiguration,
  F37: epochs.foreignEpoch,
  F38: epochs.staleWelcome,
  F39: falseState,
  F40: wrongReply,
  F42: malformed,
}
