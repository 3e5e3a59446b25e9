/** What a field of a trace holds. */
export type FieldKind = 'integer' | 'milliseconds' | 'boolean' | 'text' | 'members' | 'message' | 'object'

export interface Field {
  readonly name: string
  readonly kind: FieldKind
  readonly optional?: true
  readonly says: string
}

/** Who writes lines of a type. */
export type Source = 'node' | 'simulation'

export interface LineType {
  readonly type: string
  /** Absent: both. */
  readonly only?: Source
  readonly says: string
  readonly fields: readonly Field[]
}

/** `name: kind says`, with `?` behind the name of an optional one. */
function field(text: string): Field {
  const [head, kind, ...words] = text.split(' ')
  const name = head!.replace(/\??:$/, '')
  const says = words.join(' ')
  return { name, kind: kind as FieldKind, ...(head!.endsWith('?:') ? { optional: true } : {}), says }
}

const line = (type: string, says: string, fields: readonly string[] = [], only?: Source): LineType => ({
  type,
  ...(only === undefined ? {} : { only }),
  says,
  fields: fields.map(field),
})

export const format = 'raftkit-trace'
export const version = 1

export const headerFields: readonly Field[] = [
  'format: text `raftkit-trace`',
  'version: integer `1`',
  'source: text `node`, or `simulation`',
  'cluster?: text its name',
  'node?: text of a node: which one wrote the trace',
  'wall?: integer of a node: milliseconds since the epoch at which its `at` was 0, so that traces of several nodes can be laid side by side',
  'seed?: text of a simulation: what it was drawn from',
].map(field)

/** On every line but the first. */
export const commonFields: readonly Field[] = [
  'at: milliseconds when, to the microsecond: by the monotonic clock of the node, or by the world’s in a simulation',
  'node: text whose line it is; in a simulation also a client, or `` for the world itself',
  'type: text what happened',
  'group?: text the Raft group; absent: `main`',
].map(field)

const point = [
  'name: text of its blob',
  'index: integer the entry it ends with',
  'term: integer of that entry',
  'bytes: integer its size',
]

export const lineTypes: readonly LineType[] = [
  // a process
  line(
    'starting',
    'A process begins, and opens what its disk holds.',
    ['boot: integer counts the processes of this server in the simulation'],
    'simulation',
  ),
  line(
    'opened',
    'The protocol is open.',
    [
      'incarnation: text 32 hex digits',
      'boot: integer boot number of this incarnation',
      'term: integer as it was on the disk',
      'vote?: text whom it voted for in that term',
      'commit: integer known from the snapshot',
      'first: integer of its log',
      'last: integer of its log',
    ],
    'simulation',
  ),
  line('started', 'Storage open, log replayed, transport reachable.', [
    'incarnation: text 32 hex digits',
    'boot: integer boot number of this incarnation',
    'last: integer the end of its log',
  ]),
  line('ready', 'For the first time a linearizable read went through this node.'),
  line('stopped', 'The replica failed and does nothing any more.', [
    'code: text of the error',
    'reason: text the sentence of the error',
  ]),
  line('closed', 'The node was closed.'),
  line(
    'crashed',
    'The process is gone.',
    ['how: text `kill`, `wipe` (its disk, too), `exit` (by itself) or `power` (the whole machine)'],
    'simulation',
  ),
  line('stalled', 'The process stood still.', ['milliseconds: milliseconds about how long']),
  line('warning', 'Nothing is wrong yet.', ['code: text a stable word', 'reason: text a sentence']),
  line('missed', 'Events did not fit the buffer of a reader.', ['count: integer how many'], 'node'),
  // the protocol
  line('founded', 'The cluster was founded.', [
    'genesis: text 32 hex digits',
    'members: members the first configuration',
  ]),
  line('role', 'The role changed.', [
    'role: text `follower`, `preCandidate`, `candidate` or `leader`',
    'term: integer its term',
    'reason: text a sentence',
  ]),
  line('leader', 'Another leader is known, or none any more.', [
    'leader?: text who; absent: none',
    'term: integer its term',
  ]),
  line('vote', 'It answered a candidate.', [
    'to: text the candidate',
    'term: integer the term asked for',
    'granted: boolean the answer',
    'pre: boolean only asked whether it would',
    'reason: text a sentence',
  ]),
  line('commit', 'The commit index rose.', ['index: integer up to here']),
  line('truncated', 'The log was cut.', ['from: integer this entry and all behind it are gone']),
  line('configuration', 'A configuration came into force, or is now known to be committed.', [
    'index: integer its entry',
    'committed: boolean whether it is',
    'members: members all of it',
  ]),
  line('snapshot', 'A step of a snapshot.', [
    'step: text `taken`, `offered`, `fetching`, `installed` or `failed`',
    ...point,
    'peer?: text to or from whom',
  ]),
  line('compacted', 'Entries that the snapshot holds were dropped.', ['first: integer the log begins here now']),
  line('amnesic', 'A peer lost what it had acknowledged; it is not counted any more.', ['peer: text which']),
  line('accused', 'A lie is proved; the proof itself stands in no trace.', [
    'who: text the member, or the key of the client',
    'lie: text which kind, `E1` to `E8`',
    'what: text a sentence',
  ]),
  line('forked', 'Certificates contradict each other; the member stops. What it shows stands in no trace.', [
    'from: text who shows it',
    'bytes: integer the size of what is shown',
  ]),
  line('removed', 'Newer members say that this node is none of them.'),
  line('ignored', 'A message was ignored.', ['from: text whose', 'reason: text a sentence']),
  // messages
  line('sent', 'A message leaves.', [
    'to: text the receiver',
    'lane: text `control` or `bulk`',
    'message: message what it says',
    'packet?: integer of a simulation: the frame it is in',
  ]),
  line('received', 'A message has come, or, in a simulation, a frame.', [
    'from: text the sender',
    'lane: text `control` or `bulk`',
    'message?: message of a node: what it says',
    'packet?: integer of a simulation: the frame',
    'copyOf?: integer of a simulation: the frame that this one repeats',
  ]),
  line(
    'lost',
    'A frame does not come.',
    ['from: text the sender', 'packet: integer the frame', 'reason: text why'],
    'simulation',
  ),
  line('link', 'A link changed.', ['peer: text to whom', 'state: text `up`, `full` (bulk is being dropped) or `down`']),
  line('hello', 'A peer introduced itself and was let in.', [
    'peer: text who',
    'incarnation: text 32 hex digits',
    'machineVersion: integer of its machine',
  ]),
  line('refused', 'A hello, frame or message was not let in.', [
    'peer?: text whose',
    'code: text why',
    'reason: text a sentence',
  ]),
  line('dropped', 'Something was given up, as a network might.', [
    'what: text `frame` or `message`',
    'peer: text to or from whom',
    'reason: text a sentence',
  ]),
  // disk and machine
  line('write', 'A write is issued.', [
    'write: integer its number within this boot',
    'from?: integer records are written from this entry on, and nothing stays behind them',
    'count?: integer how many records',
    'bytes?: integer their size',
    'reset?: boolean the log begins with them',
    'compactTo?: integer entries up to here may go',
    'state: boolean the state is written, too',
  ]),
  line('durable', 'A write, and all before it, is durable.', [
    'write: integer which',
    'milliseconds: milliseconds since it was issued',
  ]),
  line('applied', 'The machine holds these entries.', [
    'from: integer the first',
    'to: integer the last',
    'milliseconds: milliseconds what it took',
  ]),
  line('snapshotting', 'A snapshot of the own machine.', [
    'step: text `begun` or `failed`',
    'index: integer the entry it ends with',
    'reason?: text a sentence',
  ]),
  line('saved', 'The blob of a snapshot is on the disk.', [...point, 'milliseconds: milliseconds what it took']),
  // what only a simulation knows
  line(
    'fault',
    'Something was broken or mended on purpose. `node` is the server, or ``.',
    ['kind: text what', 'detail: object how, as the fault says it'],
    'simulation',
  ),
  line(
    'begun',
    'A client asks. `node` is the client.',
    [
      'operation: integer its number',
      'kind: text what',
      'on: text the server it is asked of',
      'input: text hash of what is asked',
    ],
    'simulation',
  ),
  line(
    'ended',
    'A client was answered, or gave up. `node` is the client.',
    [
      'operation: integer its number',
      'outcome: text `done`, `refused` or `unknown`',
      'output: text hash of the answer',
    ],
    'simulation',
  ),
  line(
    'violation',
    'An invariant is broken; nothing follows but the end.',
    ['invariant: text its name', 'reason: text what is wrong'],
    'simulation',
  ),
  line(
    'end',
    'The run is over.',
    ['events: integer protocol steps and completions of I/O', 'steps: integer protocol steps alone'],
    'simulation',
  ),
]

export interface MessageKind {
  readonly kind: string
  readonly says: string
  readonly fields: readonly Field[]
}

const message = (kind: string, says: string, fields: readonly string[]): MessageKind => ({
  kind,
  says,
  fields: fields.map(field),
})

const term = 'term: integer of the sender'
const round = 'round: integer the leader’s round, echoed by the answer; 0: nobody waits for one'

/** Messages of Raft. */
export const messageKinds: readonly MessageKind[] = [
  message('requestVote', 'Asks for a vote (Raft paper §5.2), or with `pre` whether it would be given (thesis §9.6).', [
    'term: integer the one to be stood for',
    'pre: boolean a pre-vote',
    'ballot: integer the attempt',
    'lastIndex: integer of the candidate’s log',
    'lastTerm: integer of the candidate’s log',
    'transfer: boolean the leader wants it',
  ]),
  message('vote', 'Answers it.', [
    term,
    'forTerm: integer the one asked for',
    'pre: boolean a pre-vote',
    'ballot: integer the attempt',
    'granted: boolean the answer',
  ]),
  message('appendEntries', 'Replicates records, or is a heartbeat (§5.3).', [
    term,
    round,
    'prevIndex: integer the entry before',
    'prevTerm: integer its term',
    'commit: integer the leader’s',
    'count: integer of records',
  ]),
  message('appended', 'How far the log is known to be the leader’s.', [
    term,
    round,
    'match: integer durable up to here',
    'received: integer in memory up to here',
  ]),
  message('rejected', 'There is no such entry before.', [
    term,
    round,
    'prevIndex: integer that entry',
    'hintIndex: integer where the logs may still agree',
    'hintTerm: integer its term',
    'last: integer the end of this log',
  ]),
  message('offerSnapshot', 'The leader’s log does not reach back so far (§7).', [
    term,
    round,
    'name: text of the snapshot',
    'index: integer where it ends',
  ]),
  message('fetchSnapshot', 'Asks for a piece.', ['name: text of the snapshot', 'offset: integer in bytes']),
  message('snapshotChunk', 'The piece.', [
    'name: text of the snapshot',
    'offset: integer in bytes',
    'length: integer in bytes; 0: there is no such snapshot',
  ]),
  message('timeoutNow', 'Stand for election at once (thesis §3.10).', [term]),
  message('handOver', 'Asks the leader to hand leadership over.', [
    'term: integer the leader’s, as the sender knows it',
    'id: integer of the request',
    'to: text the heir; ``: whoever is furthest',
  ]),
  message('handOverRefused', 'It does not.', ['id: integer of the request', 'code: text why']),
  message('forward', 'Proposals for the leader.', [
    'term: integer the leader’s, as the sender knows it',
    'count: integer of proposals',
  ]),
  message('forwardResult', 'Where they were placed.', ['count: integer of proposals']),
  message('readIndex', 'Asks the leader up to where a read has to wait (thesis §6.4).', [
    'id: integer of the question',
  ]),
  message('readIndexResult', 'Up to there.', [
    'id: integer of the question',
    'index?: integer absent: the leader was deposed',
  ]),
  message('removed', 'A newer configuration does not list you (thesis §4.2.3).', [
    'index: integer of that configuration',
  ]),
  message('found', 'Founders tell each other whom they know.', [
    'done: boolean the sender has founded',
    'count: integer of founders',
  ]),
]

export const lineTypeOf: ReadonlyMap<string, LineType> = new Map(lineTypes.map((each) => [each.type, each]))
export const messageKindOf: ReadonlyMap<string, MessageKind> = new Map(messageKinds.map((each) => [each.kind, each]))
