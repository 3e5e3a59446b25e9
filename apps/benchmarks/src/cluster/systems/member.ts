import { setTimeout as pause } from 'node:timers/promises'
import type { Environment, Transport } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { createNode, type Node, type NodeStatus, platformEnvironment } from 'raftkit'
import type { CaseContext } from '../../harness/case.ts'
import type { Sample } from '../../harness/part.ts'
import { beginProfile } from '../../harness/profile.ts'
import { fill, type Target } from '../load/drive.ts'
import { beginLoopDelay, endLoopDelay } from '../load/loop-delay.ts'
import { measured } from '../load/measured.ts'
import { profileFile } from '../load/profile-file.ts'
import type { Watched } from '../load/usage.ts'
import { keyBytes, keyOf, randomKeys, randomValue, valueBytes } from '../wire/keys.ts'
import { storageOf, transportOf } from './adapters.ts'
import { KeyValues, keyValues } from './machines.ts'
import { answer, type Build, type Work } from './system.ts'

/** `proposals`: a state machine of one's own, by `node.propose`; `commands`: a defined one, with sessions. */
export type Kind = 'proposals' | 'commands'

export interface MemberInput extends Build {
  readonly id: string
  readonly kind: Kind
  readonly members: Readonly<Record<string, string>>
  /** Count what the timers and the wire do; see `Counts`. */
  readonly count?: boolean
}

/** Since the member started. */
export interface Counts {
  /** Timers that fired, and turns of the event loop that were asked for. */
  readonly timers: number
  readonly frames: number
  readonly frameBytes: number
}

export type Request =
  | { readonly type: 'status' }
  | { readonly type: 'fill'; readonly count: number }
  | { readonly type: 'run'; readonly work: Work; readonly watched: Watched }
  | { readonly type: 'edge'; readonly edge: 'begin' | 'end' }
  | { readonly type: 'snapshot' }
  | { readonly type: 'counts' }
  /** Puts every `pauseMs` until one succeeds; see `firstPut`. */
  | { readonly type: 'first-put' }
  | { readonly type: 'close' }

export interface MemberStatus {
  readonly role: NodeStatus['role']
  readonly term: number
  readonly leader: string | null
  readonly commit: number
  readonly applied: number
  readonly puts: number
  /** Snapshots saved since it started, and their bytes. */
  readonly snapshots: number
  /** The last entry that the snapshot in force holds; 0 without one. */
  readonly snapshotIndex: number
  readonly snapshotBytes: number
}

const outstandingWhileFilling = 64

/** One embedded member, and the load on it if it leads: it makes the calls that the program around it would make. */
export async function member(input: MemberInput, context: CaseContext): Promise<Sample> {
  const { id, kind, members, directory, storage, transport, snapshotEntries, profile, count = false } = input
  const own = new KeyValues()
  const counts = { timers: 0, frames: 0, frameBytes: 0 }
  const node = (await createNode<never>({
    id,
    cluster: 'bench',
    machine: (kind === 'proposals' ? own : keyValues) as never,
    members,
    storage: storageOf(storage, directory),
    transport: count ? countFrames(transportOf(transport), counts) : transportOf(transport),
    ...(count && { environment: countTimers(platformEnvironment(), counts) }),
    membership: jointConsensus(),
    leases: { drift: 0.05 },
    snapshots: { everyEntries: snapshotEntries },
    timing: { electionTimeout: 1000, heartbeatInterval: 100 },
  })) as unknown as Node
  const saved = { count: 0, bytes: 0 }
  node.on('saved', ({ snapshot }) => {
    saved.count++
    saved.bytes += snapshot.bytes
  })
  node.on('stopped', ({ error }) => {
    console.error(error)
    process.exit(1)
  })
  const defined = node as unknown as Node<typeof keyValues>
  const calls = kind === 'proposals' ? rawCalls(node) : definedCalls(defined)

  const status = async (): Promise<MemberStatus> => {
    const { role, term, leader = null, commit, machineApplied, snapshot } = node.status()
    const puts = kind === 'proposals' ? own.puts : await defined.queries.puts(undefined, { consistency: 'stale' })
    return {
      role,
      term,
      leader,
      commit,
      applied: machineApplied,
      puts,
      snapshots: saved.count,
      snapshotIndex: snapshot?.index ?? 0,
      snapshotBytes: saved.bytes,
    }
  }

  let end = async () => {}
  const begin = async () => {
    if (profile !== undefined) end = await beginProfile(profileFile(profile, `${id}-${node.status().role}`))
  }

  context.tell({ type: 'answer', answer: null })
  let closing = false
  return answer<Request>(context, async (request) => {
    switch (request.type) {
      case 'status':
        return status()
      case 'fill': {
        let next = 0
        return fill(
          targetOf(calls.put, () => next++),
          request.count,
          outstandingWhileFilling,
        )
      }
      case 'run': {
        const { work, watched } = request
        const call = work.request === 'put' ? calls.put : calls.get(work.consistency)
        const target = targetOf(call, randomKeys(work.keys))
        let delay: Sample = {}
        await begin()
        const sample = await measured(target, work, watched, (edge) => {
          if (edge === 'begin') beginLoopDelay()
          else delay = endLoopDelay()
          context.tell({ type: 'edge', edge })
        })
        await end()
        return { ...sample, ...delay }
      }
      case 'edge': {
        if (request.edge === 'begin') {
          await begin()
          return beginLoopDelay()
        }
        const delay = endLoopDelay()
        await end()
        return delay
      }
      case 'snapshot':
        return node.snapshot()
      case 'counts':
        return counts
      case 'first-put':
        return firstPut(calls.put)
      case 'close':
        if (!closing) await node.close()
        closing = true
        return null
    }
  })
}

/** A put every few milliseconds, whatever became of those before, until one is acknowledged. */
async function firstPut(put: Call): Promise<null> {
  let done = false
  for (let number = 0; !done; number++) {
    put(keyOf(number)).then(
      () => {
        done = true
      },
      () => {},
    )
    await pause(5)
  }
  return null
}

function countFrames(transport: Transport, counts: Mutable<Counts>): Transport {
  const send = transport.send.bind(transport)
  transport.send = (to, frame, lane) => {
    counts.frames++
    for (const part of frame) counts.frameBytes += part.length
    send(to, frame, lane)
  }
  return transport
}

function countTimers(environment: Environment, counts: Mutable<Counts>): Environment {
  const counted = (run: () => void) => () => {
    counts.timers++
    run()
  }
  return {
    now: () => environment.now(),
    wall: () => environment.wall(),
    at: (time, run) => environment.at(time, counted(run)),
    soon: (run) => environment.soon(counted(run)),
    random: (into) => environment.random(into),
  }
}

type Mutable<T> = { -readonly [Field in keyof T]: T[Field] }
type Call = (key: string) => Promise<unknown>

function targetOf(call: Call, next: () => number): Target {
  const target: Target = {
    finished: () => {},
    issue: (slot) =>
      void call(keyOf(next())).then(
        () => target.finished(slot, true),
        () => target.finished(slot, false),
      ),
  }
  return target
}

interface Calls {
  readonly put: Call
  get(consistency: Work['consistency']): Call
}

function rawCalls(node: Node): Calls {
  const entry = Buffer.from('k'.repeat(keyBytes) + randomValue(valueBytes))
  return {
    put(key) {
      const data = Buffer.from(entry)
      data.write(key, 'latin1')
      return node.propose(data)
    },
    get:
      (consistency = 'linearizable') =>
      (key) =>
        node.query(key, { consistency }),
  }
}

function definedCalls(node: Node<typeof keyValues>): Calls {
  const value = new Uint8Array(Buffer.from(randomValue(valueBytes)))
  return {
    put: (key) => node.commands.put({ key, value }),
    get:
      (consistency = 'linearizable') =>
      (key) =>
        node.queries.get(key, { consistency }),
  }
}
