import { checksumSeed } from '@raftkit/bytes'
import {
  isRaftkitError,
  type Opening,
  type ProtocolInit,
  type ProtocolKind,
  RaftkitError,
  type Run,
  type SnapshotPoint,
} from '@raftkit/contract'
import { type Durable, decodeDurable } from './durable.ts'
import { Log } from './log.ts'
import type { Message } from './messages.ts'
import { fixedMajority } from './quorum.ts'
import { Raft } from './raft.ts'
import { Random } from './random.ts'
import { settings } from './settings.ts'

/** Raft as a protocol that the runtime drives. */
export const raft: ProtocolKind<Message, unknown> = {
  name: 'raft',
  open: (init) => open(init),
}

const advice = 'move the data away and let this server be added again as a new one'

/** Reads what the disk holds, and refuses what cannot be what this server wrote: going on with less would take back votes and acknowledgements. */
function open(init: ProtocolInit): Opening<Message, unknown> {
  const { found, id } = init
  const options = settings(init)
  const state = found.state === undefined ? fresh(init) : read(found.state)
  if (state.id !== id || state.cluster !== init.cluster || state.group !== init.group) {
    throw new RaftkitError(
      'REFUSED',
      `this data belongs to node ${state.id} of cluster ${state.cluster}, group ${state.group}, not to node ${id} of cluster ${init.cluster}, group ${init.group}; point each node at its own data`,
    )
  }
  const { snapshot } = state
  const log = new Log()
  log.checksumSeed = checksumSeed(state.genesis, state.group)
  const base = snapshot?.index ?? 0
  if (found.state === undefined && found.last >= found.first)
    throw damaged(`the log holds entries ${found.first} … ${found.last}, but the state is gone`)
  if (found.first - 1 > base) throw damaged(`the log begins at ${found.first}, but the snapshot ends at ${base}`)
  if (found.last < base) throw damaged(`the log ends at ${found.last}, before its snapshot at ${base}`)
  log.begin(found.first, found.first === 1 ? 0 : found.first - 1 === base ? snapshot?.term : undefined)
  log.lastTime = snapshot?.time ?? 0

  return {
    snapshot: snapshot && point(snapshot),
    load(run: Run): void {
      try {
        log.adopt(
          log.check(run.bytes, run.count, log.last + 1, log.termAt(log.last) ?? 0, state.term),
          log.last + 1,
          true,
        )
      } catch (error) {
        if (isRaftkitError(error, 'MALFORMED'))
          throw damaged(`the log is not what was written: ${error.message}`, error)
        throw error
      }
      log.evict(log.last, options.cacheBytes)
    },
    start(now: number): Raft {
      if (log.last !== found.last) throw damaged(`the log was loaded up to ${log.last}, but ends at ${found.last}`)
      const inLog = snapshot && log.termAt(snapshot.index)
      if (inLog !== undefined && inLog !== snapshot?.term) {
        throw damaged(`the log has term ${inLog} at ${snapshot?.index}, where the snapshot has term ${snapshot?.term}`)
      }
      const server = new Raft(
        { ...state, boot: state.boot + 1 },
        log,
        options,
        init.membership ?? fixedMajority,
        new Random(init.seed),
        now,
      )
      if (state.genesis === '' && init.founders !== undefined) server.found(init.founders)
      return server
    },
  }
}

function fresh({ cluster, group, id, incarnation }: ProtocolInit): Durable {
  if (!/^[0-9a-f]{32}$/.test(incarnation))
    throw new RaftkitError('INVALID_OPTION', 'an incarnation is 32 random hex digits')
  return { cluster, group, id, incarnation, boot: 0, genesis: '', term: 0, vote: undefined, snapshot: undefined }
}

function read(bytes: Uint8Array): Durable {
  try {
    const state = decodeDurable(bytes)
    // Rises with every open, the next one too.
    if (state.boot === Number.MAX_SAFE_INTEGER) throw damaged('the state tells of more starts than can be counted')
    return state
  } catch (error) {
    if (isRaftkitError(error, 'MALFORMED')) throw damaged(`the state is not what was written: ${error.message}`, error)
    throw error
  }
}

const point = ({ name, index, term, bytes }: SnapshotPoint): SnapshotPoint => ({ name, index, term, bytes })

const damaged = (what: string, cause?: unknown): RaftkitError =>
  new RaftkitError('DAMAGED', `${what}; ${advice}`, { cause })
