import { checksumSeed, encodeRecords, type LogRecord, recordKind, Writer } from '@raftkit/bytes'
import type { Config, Effects, LogWrite, Role } from '@raftkit/contract'
import type { Message, Raft } from '@raftkit/core'
import { expect } from 'vitest'
import { type Server, Violation } from '../../src/index.ts'
import type { StateSeen } from '../../src/invariants/encoding.ts'
import { Witness } from '../../src/invariants/index.ts'
import type { Judge } from '../../src/invariants/invariant.ts'
import type { View } from '../../src/invariants/view.ts'
import { type Cluster, cluster } from '../cluster.ts'

/** A live protocol whose state a test may falsify. */
export type Falsified = { -readonly [Name in keyof Raft]: Raft[Name] }

const nothing: Effects<Message> = { messages: [], asks: [], settled: [], happened: [] }

/** A healthy cluster of three, with snapshots, under the eyes of one invariant: what a test adds to it are lies. */
export class Scene {
  readonly cluster: Cluster
  readonly witness: Witness
  readonly leader: Server
  readonly follower: Server
  readonly other: Server

  constructor(made: Cluster, witness: Witness) {
    this.cluster = made
    this.witness = witness
    this.leader = made.world.leader!
    const [follower, other] = [...made.world.servers.values()].filter((server) => server !== this.leader)
    this.follower = follower!
    this.other = other!
  }

  static async with(invariant: Judge, seed = 7): Promise<Scene> {
    const witness = new Witness([invariant])
    const made = await cluster(seed, {
      watchers: [witness],
      node: { snapshots: { everyEntries: 4, trailingEntries: 2 }, leases: { drift: 0.1 } },
    })
    for (let i = 0; i < 6; i++) await made.add(1)
    const { servers } = made.world
    const quiet = (): boolean =>
      [...servers.values()].every(
        ({ protocol, disk }) =>
          protocol!.applied === made.world.leader!.protocol!.log.last &&
          protocol!.state.snapshot !== undefined &&
          disk.durable.last === disk.issued.last,
      )
    await made.until(quiet)
    expect(made.world.violation).toBeUndefined()
    return new Scene(made, witness)
  }

  view(server: Server): View {
    return this.witness.cluster.view(server)
  }

  /** Up to here everything is committed. */
  get frontier(): number {
    return this.witness.cluster.frontier
  }

  live(server: Server): Falsified {
    return server.protocol as Falsified
  }

  /** The live state becomes another. */
  claim(server: Server, state: Partial<Raft['state']>): void {
    const live = this.live(server)
    live.state = { ...live.state, ...state }
  }

  stepped(server: Server): void {
    this.witness.stepped(server, { type: 'time' }, server.protocol!.now)
  }

  took(server: Server, effects: Partial<Effects<Message>> = {}): void {
    this.witness.took(server, { ...nothing, ...effects }, server.protocol!.now)
  }

  writes(server: Server, change: LogWrite): void {
    this.took(server, { write: { id: 1000, change } })
  }

  /** Entries that the server claims to write behind its log, or from `at` on. */
  appends(
    server: Server,
    records: readonly Partial<LogRecord>[],
    at: number = this.view(server).memory.log.last + 1,
  ): void {
    this.writes(server, { tail: { at, run: this.run(server, records, at) } })
  }

  run(server: Server, records: readonly Partial<LogRecord>[], at: number): { count: number; bytes: Uint8Array } {
    const view = this.view(server)
    const whole = records.map((record, i) => ({
      kind: recordKind.command,
      index: at + i,
      term: view.term,
      time: 2 ** 42,
      seed: 0,
      payload: new Uint8Array([1, 2, 3]),
      ...record,
    }))
    return { count: records.length, bytes: encodeRecords(whole, checksumSeed(view.genesis, 'main')) }
  }

  send(server: Server, message: Message, to: Server = this.leader): void {
    const { id, incarnation } = this.live(to).self
    this.witness.left(server, { to: id, incarnation, message, lane: 'control', after: 0 })
  }

  /** The disk holds another state than the process wrote. */
  stores(server: Server, state: Partial<StateSeen>): void {
    ;(server.disk.durable as { state: Uint8Array }).state = encodeState({ ...this.view(server).disk.state!, ...state })
    this.witness.durable(server)
  }

  /** The last records are gone from the disk. */
  loses(server: Server, count = 1): void {
    ;(server.disk.durable.records as Uint8Array[]).splice(-count)
    this.witness.durable(server)
  }

  get members(): Config['members'] {
    return this.leader.protocol!.status().config.members
  }
}

/** The act must break the invariant of that name. */
export function breaks(name: string, act: () => void): void {
  let seen: unknown
  try {
    act()
  } catch (error) {
    seen = error
  }
  if (!(seen instanceof Violation)) throw seen ?? new Error(`nothing broke «${name}»`)
  expect(seen.invariant).toBe(name)
}

const roles: readonly Role[] = ['voter', 'incoming', 'outgoing', 'demoted', 'learner', 'joining', 'leaving', 'retiring']

function writeConfig(writer: Writer, config: Config): Writer {
  writer.u8(1).u32(config.format).u32(config.members.length)
  for (const { id, address, incarnation, role } of config.members)
    writer
      .text(id)
      .text(address ?? '')
      .text(incarnation)
      .u8(roles.indexOf(role))
  return writer
}

export const encodeConfig = (config: Config): Uint8Array => writeConfig(new Writer(), config).finish()

export function encodeState(state: StateSeen): Uint8Array {
  const [id = '', incarnation = ''] = state.vote.split('/')
  const writer = new Writer()
    .u8(1)
    .text('sim')
    .text('main')
    .text(state.id)
    .text(state.incarnation)
    .u64(state.boot)
    .text(state.genesis)
    .u64(state.term)
    .text(id)
    .text(incarnation)
    .u8(state.snapshot === undefined ? 0 : 1)
  const { snapshot } = state
  if (snapshot !== undefined) {
    writer
      .text(snapshot.name)
      .u64(snapshot.index)
      .u64(snapshot.term)
      .u64(snapshot.bytes)
      .u64(snapshot.configIndex)
      .u64(0)
    writeConfig(writer, snapshot.config)
  }
  return writer.finish()
}
