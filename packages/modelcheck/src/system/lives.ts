import { hash128, Writer } from '@raftkit/bytes'
import type { NodeId, ProtocolInit } from '@raftkit/contract'
import { type Raft, raft } from '@raftkit/core'
import type { Reopened } from '../invariants.ts'
import { type Content, contentKey, foundIn } from './content.ts'
import type { Logs } from './logs.ts'
import type { Machine, Scope } from './scope.ts'
import { endToEnd, type Life, type Server, Turn } from './server.ts'
import type { Rename } from './symmetry.ts'

/** Far apart, so that no number of steps that pass a little time adds up to one that passes more. */
export const clock: Readonly<Record<'step' | 'heartbeat' | 'retry' | 'election' | 'disk', number>> = {
  step: 1,
  heartbeat: 2 ** 12,
  retry: 2 ** 25,
  election: 2 ** 26,
  disk: 2 ** 50,
}

export const incarnation: string = '0'.repeat(32)

/** What the disk would bring back, and its digests, computed once. */
interface Disk {
  readonly reopened: Reopened
  readonly digests: Uint8Array[]
}

/** Starts servers from what their disks hold, and gives them turns. */
export class Lives {
  readonly #scope: Scope
  readonly #machine: Machine
  readonly #renames: readonly Rename[]
  readonly #logs: Logs
  readonly #disks = new Map<string, Disk>()

  constructor(scope: Scope, machine: Machine, renames: readonly Rename[], logs: Logs) {
    this.#scope = scope
    this.#machine = machine
    this.#renames = renames
    this.#logs = logs
  }

  /** A turn of a copy: the server stays as it is. */
  turn({ life, ...server }: Server): Turn {
    const { protocol, ...rest } = life!
    return new Turn(
      { ...server, life },
      { ...rest, protocol: protocol.fork() },
      this.#machine,
      this.#scope.flushesAtOnce === true,
    )
  }

  #init(slot: number, content: Content): ProtocolInit {
    const scope = this.#scope
    return {
      id: scope.servers[slot]!,
      cluster: 'model',
      group: 'main',
      incarnation,
      found: foundIn(content),
      seed: 1,
      maxMessageBytes: scope.maxMessageBytes ?? 65_536,
      timing: {
        electionTimeout: clock.election,
        heartbeatInterval: clock.heartbeat,
        diskTimeout: clock.disk,
      },
      ...(scope.membership === undefined ? {} : { membership: scope.membership as never }),
      ...(scope.limits === undefined ? {} : { limits: scope.limits }),
    }
  }

  #open(
    slot: number,
    content: Content,
    founders?: readonly NodeId[],
  ): { protocol: Raft; snapshot: string | undefined } {
    const opening = raft.open({
      ...this.#init(slot, content),
      ...(founders === undefined ? {} : { founders: founders.map((id) => ({ id })) }),
    })
    if (content.records.length > 0) opening.load({ count: content.records.length, bytes: endToEnd(content.records) })
    return { protocol: opening.start(0) as Raft, snapshot: opening.snapshot?.name }
  }

  restarted(down: Server, founders?: readonly NodeId[]): { server: Server; turn: Turn; isNewLife: true } {
    const { protocol, snapshot } = this.#open(down.slot, down.contents[0]!, founders)
    const life: Life = {
      protocol,
      now: 0,
      writes: [],
      durable: 0,
      held: [],
      machine: this.#machine.empty,
      applied: 0,
      reads: [],
    }
    const turn = new Turn(down, life, this.#machine, this.#scope.flushesAtOnce === true)
    if (snapshot !== undefined) turn.restore(snapshot)
    turn.take()
    return { server: turn.server, turn, isNewLife: true }
  }

  disk(slot: number, content: Content): Disk {
    const key = `${slot}/${contentKey(content)}`
    const known = this.#disks.get(key)
    if (known !== undefined) return known
    const { protocol } = this.#open(slot, content)
    const { term, vote, snapshot } = protocol.state
    const reopened = { term, vote, snapshot, log: this.#logs.of(content) }
    const digests = this.#renames.map((rename) => {
      const writer = new Writer(512).raw(protocol.digest(rename))
      // All of them: the protocol need not have kept them in memory.
      for (const { term, kind, proposal, command, members } of reopened.log.entries) {
        writer.u64(term).u8(kind).u32(proposal).text(command)
        const voters = members?.map(({ id, incarnation: life, role }) => `${rename(id)}/${life}:${role}`).sort()
        writer.text(voters?.join() ?? '')
      }
      return hash128(writer.finish())
    })
    const disk = { reopened, digests }
    this.#disks.set(key, disk)
    return disk
  }
}

/** Of the writes under way, the first `kept` have reached the disk. */
export function crashed({ life: _, ...server }: Server, kept: number): Server {
  return { ...server, contents: [server.contents[kept]!], life: undefined }
}
