// @ts-check
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of sources are quoted
import { plant } from './plant.mjs'

/*
 * What was wrong with Tangaroa, Juno, Prellblock and others (D1–D18), and what breaks the argument that certified Raft is safe (S1–S6), planted
 * in packages/bft. Rows: D of the reference's list of defects, S of the rules, F of its catalogue of faults.
 */

const tangaroa = 'Tangaroa'

const rules = [
  plant('one-phase', 'D1, S4', 'what is certified once counts as committed', tangaroa, [
    'bft/voting',
    "if (phase === 'commit') return advance(server, certificate)\n",
    "if (phase === 'append') advance(server, certificate)\n  if (phase === 'commit') return advance(server, certificate)\n",
  ]),
  plant(
    'no-lock-in-term-votes',
    'D1, D13, S1',
    'a term vote says nothing of what its signer is locked on',
    'Tangaroa, Prellblock',
    ['bft/rules', "stated: ballot.lock ?? 'none'", "stated: 'none'"],
    ['bft/terms', 'server.stated = server.lock\n', 'server.stated = undefined\n'],
    ['bft/terms', "{ type: 'term', term, lock: server.lock }", "{ type: 'term', term, lock: undefined }"],
  ),
  plant('lock-dropped-by-term', 'D13, S4', 'a member that enters a term forgets what it is locked on', 'Prellblock', [
    'bft/rules',
    'tip: undefined, lock: ballot.lock, stated: undefined }',
    'tip: undefined, lock: undefined, stated: undefined }',
  ]),
  plant('claimed-anchor', 'D2, S2', 'where a term begins is what its leader says', 'Tangaroa, Raft itself', [
    'bft/rules',
    'return tree.holds(anchor, hash) && (',
    'return (',
  ]),
  plant('commit-in-old-term', 'S1, S4', 'a commit vote for a term that was given up', 'a mutant of the reference', [
    'bft/rules',
    'return certified.term === ballot.term && compareRank',
    'return compareRank',
  ]),
  plant(
    'commit-without-lock',
    'S4, F5',
    'a commit vote without a lock',
    'a mutant of the reference',
    [
      'bft/rules',
      'return compareRank(certified, entered.lock) > 0 ? { ...entered, lock: certified } : entered',
      'return entered',
    ],
    [
      'bft/rules',
      'return certified.term === ballot.term && compareRank(ballot.lock, certified) >= 0',
      'return certified.term === ballot.term',
    ],
    ['bft/voting', 'if (higher) server.lock = certificate\n', ''],
  ),
  plant('two-votes-for-a-place', 'D15, S3, F4', 'a second append vote for the same place and term', 'cesmi/BFTRaft', [
    'bft/rules',
    '(ballot.tip === undefined || tree.holds(ballot.tip, hash))',
    'true',
  ]),
  plant(
    'votes-are-no-chain',
    'S3, F3',
    'the next vote of a term need not follow from the last',
    'a mutant of the reference',
    [
      'bft/rules',
      '(ballot.tip === undefined || tree.holds(ballot.tip, hash))',
      '(ballot.tip === undefined || !tree.holds(hash, ballot.tip))',
    ],
  ),
  plant('lock-falls', 'S4', 'a lower lock replaces a higher one', 'a mutant of the reference', [
    'bft/rules',
    'return compareRank(certified, entered.lock) > 0 ? { ...entered, lock: certified } : entered',
    'return { ...entered, lock: certified }',
  ]),
  plant('lock-without-its-term', 'S5', 'a lock of a later term is taken over without its term', 'a mutant of ours', [
    'bft/rules',
    'const entered = enterTerm(ballot, certified.term)',
    'const entered = ballot',
  ]),
  plant('epoch-goes-on', 'S6, F36', 'entries follow a configuration in its own epoch', 'a mutant of ours', [
    'bft/entry',
    "before.epoch + (before.kind === 'config' && before.index > 0 ? 1 : 0))",
    "before.epoch + (before.kind === 'config' && before.index > 0 ? 1 : 0) && header.epoch !== before.epoch)",
  ]),
]

const certificates = [
  plant('votes-counted-twice', 'D3, D4', 'a certificate may name a signer twice', 'Tangaroa, Juno', [
    'bft/certificate',
    'if (signer <= before) return',
    'if (signer < before) return',
  ]),
  plant(
    'gathered-twice',
    'D3, D4',
    'votes of one signer are put together as if they were of several',
    'Tangaroa, Juno',
    [
      'bft/certificate',
      'if (!bySigner.has(one.signer)) bySigner.set(one.signer, one)',
      'bySigner.set(bySigner.size, one)',
    ],
  ),
  plant('terms-mixed', 'D4', 'votes of different terms are counted together', tangaroa, [
    'bft/tally',
    'const vote = box.term === term ? box.votes.get(slot(phase, index)) : undefined\n      if',
    'const vote = box.votes.get(slot(phase, index))\n      if',
  ]),
  plant('any-hash-counts', 'D4', 'votes for other entries are counted', tangaroa, [
    'bft/tally',
    'if (vote?.place.hash === hash) found.push(vote)',
    'if (vote !== undefined) found.push(vote)',
  ]),
  plant('poisoned-votes', 'D5, F24', 'one vote for another entry keeps all others from counting', tangaroa, [
    'bft/tally',
    'if (vote?.place.hash === hash) found.push(vote)',
    'if (vote !== undefined && vote.place.hash !== hash) return []\n      if (vote !== undefined) found.push(vote)',
  ]),
  plant('majority', 'D11', 'a majority is a quorum', 'Juno', [
    'bft/members',
    'Math.floor((n + faults(n)) / 2) + 1',
    'Math.floor(n / 2) + 1',
  ]),
  plant('certificate-too-short', 'D11', 'a certificate may have less than a quorum of signatures', 'a mutant of ours', [
    'bft/certificate',
    'if (signatures.length !== members.quorum)',
    'if (signatures.length > members.quorum)',
  ]),
  plant(
    'any-lock',
    'S2, F9',
    'a leader may begin with any lock of its term certificate',
    'a mutant of the reference',
    ['bft/certificate', 'if (compareRank(highest, lock?.place) !== 0)', 'if (compareRank(highest, lock?.place) < 0)'],
    [
      'bft/certificate',
      'compareRank(vote.lock, highest) === 0 && vote.lock.hash',
      'compareRank(vote.lock, lock?.place) === 0 && vote.lock.hash',
    ],
  ),
  plant(
    'term-not-bound',
    'D14, D17, F7',
    'the signed bytes of a vote do not name its term',
    'cesmi/BFTRaft, BFTRaft4go',
    ['bft/statement', '    .u64(term)\n    .u64(index)\n', '    .u64(index)\n'],
  ),
  plant('claim-not-bound', 'D17', 'a term vote signs its own term twice, and not the term of its lock', 'BFTRaft4go', [
    'bft/statement',
    'writer.u64(lock.term).u64(lock.index)',
    'writer.u64(term).u64(lock.index)',
  ]),
  plant('phase-not-bound', 'S4', 'an append vote passes for a commit vote', 'a mutant of ours', [
    'bft/statement',
    '.text(`raftkit ${phase} 1`)',
    ".text('raftkit vote 1')",
  ]),
  plant('epoch-not-bound', 'F12, F37', 'votes of one cluster and epoch count in another', 'a mutant of ours', [
    'bft/statement',
    '    .raw(rawHash(domain))\n    .u64(term)\n    .u64(index)\n',
    '    .u64(term)\n    .u64(index)\n',
  ]),
  plant(
    'lock-of-the-same-term',
    'D14, F7',
    'a term certificate may claim a lock of its own term or a later one',
    'cesmi/BFTRaft',
    ['bft/certificate', 'vote.lock !== undefined && vote.lock.term >= term', 'false'],
  ),
  plant('lock-not-proved', 'D2, F7', 'the lock that a term certificate shows is not verified', tangaroa, [
    'bft/certificate',
    'return lock === undefined ? checks : [...checks, ...certificateChecks(members, lock)]',
    'return checks',
  ]),
]

const members = [
  plant('anybody-leads', 'D2, F33', 'whoever says so leads a term', tangaroa, [
    'bft/appending',
    'if (epoch !== members.epoch || from !== members.leader(term)) return undefined',
    'if (epoch !== members.epoch) return undefined',
  ]),
  plant('claim-not-proved', 'D2, F7', 'the lock that a term vote claims is not verified', tangaroa, [
    'bft/terms',
    'return lock === undefined ? [check] : [check, ...certificateChecks(members, lock)]',
    'return [check]',
  ]),
  plant(
    'certificate-of-another-term',
    'D14, F10',
    'a leader may show the term certificate of another term',
    'cesmi/BFTRaft',
    [
      'bft/appending',
      'proof === undefined || proof.term !== term || flawOfTermCertificate',
      'proof === undefined || flawOfTermCertificate',
    ],
  ),
  plant('parent-not-checked', 'D6, F21', 'an entry need not hold the hash of its parent', tangaroa, [
    'bft/entry',
    "if (header.parent !== headerHash(digest, before)) return 'it does not hold the hash of its parent'\n",
    '',
  ]),
  plant('unsigned-requests', 'D7, F15', 'the signatures of requests in entries are not verified', tangaroa, [
    'bft/requests',
    "if (header.kind !== 'data') return []\n  return items.flatMap",
    'return []\n  return items.flatMap',
  ]),
  plant('executed-again', 'F20', 'an entry may hold a request that was executed before', 'a mutant of ours', [
    'bft/used',
    'if (request === undefined || !this.isFresh(request)) return false',
    'if (request === undefined) return false',
  ]),
  plant('first-reply', 'D8, F40', 'a client believes the first answer', tangaroa, [
    'bft-client/agreement',
    'faults(members) + 1',
    '1',
  ]),
  plant('lock-in-memory', 'D9, F44', 'a restart forgets the lock', 'Tangaroa, a mutant of the reference', [
    'bft/state',
    'optional(writer, lock, writeCertificate)',
    'optional(writer, undefined, writeCertificate)',
  ]),
  plant('vote-in-memory', 'D9, D18, F44', 'a restart forgets the last vote', 'Tangaroa, asonnino/hotstuff', [
    'bft/state',
    'optional(writer, ballot.tip,',
    'optional(writer, undefined as typeof ballot.tip,',
  ]),
  plant('term-in-memory', 'D9, F44', 'a restart forgets the term', tangaroa, [
    'bft/state',
    '.u64(ballot.term)',
    '.u64(0)',
  ]),
  plant('said-before-durable', 'D9, F44', 'votes leave before they are durable', 'a mutant of ours', [
    'bft/promises',
    'say(server, owed.what, signature, write)',
    'say(server, owed.what, signature, 0)',
  ]),
  plant(
    'counted-before-durable',
    'D9, F44',
    'a member counts its own vote before its disk has it',
    'a mutant of ours',
    ['bft/promises', 'isSent && write !== undefined && write <= durable', 'isSent && write !== undefined'],
  ),
  plant('joins-at-f', 'D16, F32', 'f members can make others ask for a term', 'cesmi/BFTRaft', [
    'bft/terms',
    'const joined = ahead[members.faults] ?? 0',
    'const joined = ahead[members.faults - 1] ?? 0',
  ]),
  plant('suspects-at-f', 'D16, F32', 'f members can make others suspect', 'cesmi/BFTRaft', [
    'bft/terms',
    'const joined = ranked()[members.faults]!',
    'const joined = ranked()[members.faults - 1]!',
  ]),
  plant('ended-at-f-1', 'D16, F32', 'f + 1 suspicions end a term', 'a mutant of ours', [
    'bft/terms',
    'const ended = ranked()[members.quorum - 1]!',
    'const ended = ranked()[members.faults]!',
  ]),
  plant('votes-in-anothers-name', 'F13', 'a member may bring a term vote in the name of another', 'a mutant of ours', [
    'bft/terms',
    'if (epoch !== members.epoch || vote.signer !== sender) return undefined',
    'if (epoch !== members.epoch) return undefined',
  ]),
]

const epochs = [
  plant('checkpoints-mixed', 'F39, F41', 'words for different states certify one of them', 'a mutant of ours', [
    'bft/checkpointing',
    'const same = all.filter((vote) => isSame(vote.checkpoint, checkpoint))',
    'const same = all',
  ]),
  plant('lock-ends-epoch', 'S6, F38', 'an append certificate passes for the end of an epoch', 'a mutant of ours', [
    'bft/epochs',
    "certificate.phase !== 'commit' || certificate.place.hash",
    'certificate.place.hash',
  ]),
  plant(
    'operator-counted-twice',
    'F35',
    'one operator approves of new members as often as it takes',
    'a mutant of ours',
    ['bft/epochs', 'operator <= (approvals[at - 1]?.operator ?? -1)', 'operator < (approvals[at - 1]?.operator ?? -1)'],
  ),
  plant('frames-by-lock', 'F6', 'evidence blames whoever states just what it was locked on', 'a mutant of ours', [
    'bft/evidence/claim',
    'return order > 0 ||',
    'return order >= 0 ||',
  ]),
  plant('frames-by-branch', 'F3', 'evidence blames whoever votes along one chain', 'a mutant of ours', [
    'bft/evidence/claim',
    'return headers.at(-1)!.parent !== place.hash',
    'return headers.length > 0',
  ]),
  plant('fork-not-told', 'F46', 'a member that sees its cluster forked goes on', 'a mutant of ours', [
    'bft/halting',
    'if (server.isForked) return\n  const epoch',
    'if (!server.isForked) return\n  const epoch',
  ]),
]

export const chapters = [
  { title: 'The voting rules', mutants: rules },
  { title: 'Certificates and what is signed', mutants: certificates },
  { title: 'Members and clients', mutants: members },
  { title: 'Epochs, checkpoints and evidence', mutants: epochs },
]

/** Defects that have no place here, and why. */
export const inapplicable = [
  'D3, its first half: refusals counted as votes. There are none: a member that refuses says nothing, so no message can be taken for the other.',
  'D6, its second half: a log truncated below what is committed. Nothing is ever truncated: the journal keeps all branches, and what is committed only grows along one.',
  'D10: any client makes all members ignore a leader. Clients have no message that touches terms; a quorum of members’ suspicions ends one.',
  'D12: “fundamental issues”, a sentence in a README. It names no defect; what it means by “runaway candidate” cannot be, there being no candidates.',
]
