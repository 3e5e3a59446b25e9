import type { Outgoing } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { Violation } from '../explore/model.ts'
import { emptyContent } from './content.ts'
import { clock, crashed, type Lives } from './lives.ts'
import type { Logs } from './logs.ts'
import { newsOf } from './news.ts'
import type { Machine, Scope } from './scope.ts'
import type { Server, Turn } from './server.ts'
import { type Known, nothing, told } from './watcher.ts'

export interface Beginning {
  readonly servers: readonly Server[]
  readonly known: Known
  /** What is under way, and from whom. */
  readonly sender: number
  readonly sent: readonly Outgoing<Message>[]
}

/** Real founding, message by message; if the scope says so, a real election; then its prelude. */
export function beginning(scope: Scope, lives: Lives, logs: Logs, machine: Machine): Beginning {
  const founders = scope.founders ?? scope.servers
  let servers = scope.servers.map((id, slot): Server => {
    const down: Server = { slot, contents: [emptyContent], blobs: new Map(), partial: new Map(), life: undefined }
    return lives.restarted(down, founders.includes(id) ? founders : undefined).server
  })
  let known = nothing
  const run = (slot: number, step: (turn: Turn) => void): Outgoing<Message>[] => {
    const before = servers[slot]!
    const turn = lives.turn(before)
    step(turn)
    while (turn.server.life!.writes.length > 0) turn.flush()
    servers[slot] = turn.server
    const memory = logs.of(turn.server.contents.at(-1)!)
    for (const news of newsOf(scope.servers[slot]!, before.life, turn.server, turn, memory))
      known = told(known, news, logs, machine)
    return turn.outcome.sent
  }
  const settle = (first: readonly { slot: number; outgoing: Outgoing<Message> }[]): void => {
    const queue = [...first]
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { slot: sender, outgoing } = next
      const { self, state } = servers[sender]!.life!.protocol
      const to = scope.servers.indexOf(outgoing.to)
      const message = { type: 'message' as const, from: self, genesis: state.genesis, message: outgoing.message }
      for (const answer of run(to, (turn) => turn.do(message))) queue.push({ slot: to, outgoing: answer })
    }
  }
  const all = (step: (turn: Turn) => void): void =>
    settle(servers.flatMap((_, slot) => run(slot, step).map((outgoing) => ({ slot, outgoing }))))
  for (let round = 0; round < 4; round++)
    all((turn) => {
      turn.wait(clock.heartbeat)
      turn.take()
    })
  servers = servers.map((server) => lives.restarted(crashed(server, server.contents.length - 1)).server)
  all((turn) => {
    turn.wait(4 * clock.retry)
    turn.do({ type: 'applied', index: 0 })
  })
  if (scope.isLed) {
    settle(run(0, (turn) => turn.do({ type: 'time' })).map((outgoing) => ({ slot: 0, outgoing })))
    const heartbeat = run(0, (turn) => {
      turn.wait(clock.heartbeat)
      turn.do({ type: 'time' })
    })
    settle(heartbeat.map((outgoing) => ({ slot: 0, outgoing })))
  }
  let last: { slot: number; sent: Outgoing<Message>[] } | undefined
  scope.prelude?.forEach((event, at) => {
    if ('propose' in event) {
      const slot = scope.servers.indexOf(event.propose)
      const data = new TextEncoder().encode(event.command)
      last = {
        slot,
        sent: run(slot, (turn) => turn.do({ type: 'propose', id: 90 + at, data, time: 0, seed: 90 + at })),
      }
      return
    }
    const slot = scope.servers.indexOf(event.elect)
    const voter = scope.servers.indexOf(event.by)
    const hears = (to: number, from: number, outgoing: Outgoing<Message>): Outgoing<Message>[] => {
      const { self, state } = servers[from]!.life!.protocol
      return run(to, (turn) => {
        turn.wait(4 * clock.retry)
        turn.do({ type: 'message', from: self, genesis: state.genesis, message: outgoing.message })
      })
    }
    // Its term may have to pass the voter's first.
    for (let tries = 0; servers[slot]!.life!.protocol.role.type !== 'leader' && tries < 9; tries++) {
      const asked = run(slot, (turn) => turn.do({ type: 'campaign' })).filter(({ to }) => to === event.by)
      const votes = asked.flatMap((request) => hears(voter, slot, request))
      last = { slot, sent: votes.flatMap((vote) => hears(slot, voter, vote)) }
    }
  })
  const leader = scope.prelude?.filter((event) => 'elect' in event).at(-1)
  const expected = leader !== undefined ? leader.elect : scope.isLed ? scope.servers[0]! : undefined
  const there = servers[scope.servers.indexOf(expected ?? '')]
  if (there !== undefined && there.life!.protocol.role.type !== 'leader')
    throw new Violation('somebody is elected', `${expected} was to lead before the exploration begins, and does not`)
  return { servers, known, sender: last?.slot ?? 0, sent: last?.sent ?? [] }
}
