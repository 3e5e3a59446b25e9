import { toHex } from '@raftkit/bytes'
import type { LogWrite, NodeId } from '@raftkit/contract'
import { describe } from '@raftkit/core'
import { type NodeEvent, type TraceLine, traceLine } from 'raftkit'
import type { Ending, Fault, Operation, Violation, Watcher } from '../watcher.ts'
import type { Packet } from '../world/packet.ts'
import type { Server } from '../world/server.ts'
import type { World } from '../world/world.ts'
import { RollingHash } from './hash.ts'
import { hashLine, writeLine } from './line.ts'
import { format, version } from './schema.ts'

export interface TracerOptions {
  /** Gets every line of the trace, each with its line feed. Absent: the trace is hashed and not kept, which costs much less. */
  readonly write?: ((line: string) => void) | undefined
}

/** Watches a world and tells what happened, as a trace: to be read, or only as its hash, by which two runs are known to be the same. */
export class Tracer implements Watcher {
  /** Lines so far, the first one apart. */
  lines = 0
  readonly #hash = new RollingHash()
  readonly #write: TracerOptions['write']
  #world: World | undefined

  constructor({ write }: TracerOptions = {}) {
    this.#write = write
  }

  /** 16 hex digits that name the trace up to here. */
  get hash(): string {
    return this.#hash.toString()
  }

  starting(server: Server): void {
    if (this.#world === undefined) this.#begin(server.world)
    this.#line({ node: server.id, type: 'starting', boot: server.boots })
  }

  booted({ id, protocol }: Server): void {
    const { state, commit, log } = protocol!
    const { incarnation, boot, term, vote } = state
    const { first, last } = log
    this.#line({ node: id, type: 'opened', incarnation, boot, term, vote: vote?.id, commit, first, last })
  }

  issued({ id: node }: Server, { id: write, change }: { readonly id: number; readonly change: LogWrite }): void {
    const { tail, compactTo, state } = change
    this.#line({
      node,
      type: 'write',
      write,
      from: tail?.at,
      count: tail?.run.count,
      bytes: tail?.run.bytes.length,
      reset: tail?.reset,
      compactTo,
      state: state !== undefined,
    })
  }

  sent({ id: packet, from: node, to, lane, messages }: Packet): void {
    for (const message of messages) this.#line({ node, type: 'sent', to, lane, message: describe(message), packet })
  }

  arrived({ id: packet, copyOf, from, to: node, lane }: Packet): void {
    this.#line({ node, type: 'received', from, lane, packet, copyOf })
  }

  dropped({ id: packet, from, to: node }: Packet, reason: string): void {
    this.#line({ node, type: 'lost', from, packet, reason })
  }

  told(_: Server, event: NodeEvent): void {
    this.#line(traceLine(event))
  }

  crashed({ id: node }: Server, how: Ending): void {
    this.#line({ node, type: 'crashed', how })
  }

  fault({ kind, ...detail }: Fault): void {
    const { server, node } = detail as { readonly server?: NodeId; readonly node?: NodeId }
    this.#line({ node: server ?? node ?? '', type: 'fault', kind, detail })
  }

  operation({ id: operation, client: node, kind, node: on, input, outcome, output }: Operation): void {
    if (outcome === undefined) this.#line({ node, type: 'begun', operation, kind, on, input: nameOf(input) })
    else this.#line({ node, type: 'ended', operation, outcome, output: nameOf(output) })
  }

  /** Call at the end of a run, with what broke it. */
  end(world: World, violation?: Violation): void {
    if (violation !== undefined)
      this.#line({ node: '', type: 'violation', invariant: violation.invariant, reason: violation.message })
    const { events, steps } = world
    this.#line({ node: '', type: 'end', events, steps })
  }

  #begin(world: World): void {
    this.#world = world
    const seed = String(world.seed)
    this.#hash.text(seed)
    this.#write?.(`${JSON.stringify({ format, version, source: 'simulation', cluster: world.cluster, seed })}\n`)
  }

  #line(facts: { readonly node: string; readonly type: string; readonly [field: string]: unknown }): void {
    const world = this.#world
    if (world === undefined) return
    this.lines++
    const line = facts as Record<string, unknown> & TraceLine
    ;(line as { at: number }).at = Math.round(world.now * 1000) / 1000
    hashLine(this.#hash, line)
    this.#write?.(writeLine(line))
  }
}

/** What users put in is not written, only what tells two of them apart. */
function nameOf(value: unknown): string {
  if (value === undefined) return ''
  const hash = new RollingHash()
  hash.text(textOf(value))
  return hash.toString()
}

function textOf(value: unknown): string {
  if (value instanceof Error) return String(value)
  if (typeof value === 'string') return value
  if (isPlain(value)) return JSON.stringify(value)
  return (
    JSON.stringify(value, (_, part: unknown) => {
      if (part instanceof Map) return [...part]
      if (part instanceof Set) return [...part]
      if (part instanceof Uint8Array) return toHex(part)
      if (part instanceof Error) return String(part)
      return typeof part === 'bigint' ? `${part}n` : part
    }) ?? ''
  )
}

/** An object of numbers, texts and truths: most that clients say, and cheap to print. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false
  for (const name in value) {
    const type = typeof (value as Record<string, unknown>)[name]
    if (type !== 'number' && type !== 'string' && type !== 'boolean') return false
  }
  return true
}
