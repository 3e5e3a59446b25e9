import type { Reader, Writer } from '@raftkit/bytes'
import type { Entry } from './entry.ts'
import { isEqual, textOf } from './hash.ts'
import { type Request, requestIn } from './request.ts'

/** How far behind the highest number of a session another may come: requests overtake each other. */
const span = 256
const words = span / 32

/** Of one client. What is forgotten is what lies lowest, and nothing below the lowest runs again: so nothing runs twice. */
const mostSessions = 8
/** Beyond it no new client is let in: a bound that a liar can fill, and not exceed. Say by `admits` who may be a client at all. */
const mostClients = 16_384

/** Numbers of one session: the highest that was executed, and which of the 256 up to it were, one bit each, at its number modulo 256. */
interface Session {
  readonly session: number
  readonly highest: number
  readonly bits: Uint32Array
}

/** By session, rising. */
type Sessions = readonly Session[]

/**
 * Which numbers of each client's sessions were executed: part of the replicated state, the same on every member at the same entry. A state
 * on top of another holds only what differs, so that each entry which is not committed yet has its own. Nothing that was put in is altered.
 */
export class Used {
  readonly #clients: Map<string, Sessions> = new Map()
  #under: Used | undefined
  #count = 0

  fork(): Used {
    const copy = new Used()
    for (const [client, sessions] of this.#clients) copy.#clients.set(client, sessions)
    copy.#count = this.#count
    copy.#under = this.#under
    return copy
  }

  /** The state behind this one: the same, until something is used there. */
  behind(): Used {
    const next = new Used()
    next.#under = this.#clients.size === 0 && this.#under !== undefined ? this.#under : this
    next.#count = this.#count
    return next
  }

  /** What `above` holds, which lies behind this one, is part of it from now on. */
  absorb(above: Used): void {
    for (const [client, sessions] of above.#clients) this.#clients.set(client, sessions)
    this.#count = above.#count
    above.#clients.clear()
    above.#under = this
  }

  /** Whether the request may run: its client is one or may become one, none of its numbers was used, and none is too old to tell. */
  isFresh({ client, session, seq, operations }: Request): boolean {
    const sessions = this.#find(nameOf(client))
    if (sessions === undefined) return this.#count < mostClients
    const used = sessions.find((one) => one.session === session)
    if (used === undefined) return sessions.length < mostSessions || session > sessions[0]!.session
    if (seq <= used.highest - span) return false
    const last = Math.min(used.highest, seq + operations.length - 1)
    for (let number = seq; number <= last; number++) if (isSet(used.bits, number)) return false
    return true
  }

  use({ client, session, seq, operations }: Request): void {
    const name = nameOf(client)
    const sessions = this.#find(name)
    if (sessions === undefined) this.#count++
    const before = sessions?.find((one) => one.session === session)
    const after = moved(before ?? { session, highest: -1, bits: new Uint32Array(words) }, seq, operations.length)
    const others = (sessions ?? []).filter((one) => one !== before)
    const all = [...others, after].sort((a, b) => a.session - b.session)
    this.#clients.set(name, all.slice(-mostSessions))
  }

  /** Uses what an entry holds, one request after the other; false: one of them is not fresh. */
  take({ header, items }: Entry): boolean {
    if (header.kind !== 'data') return true
    for (const item of items) {
      const request = requestIn(item)
      if (request === undefined || !this.isFresh(request)) return false
      this.use(request)
    }
    return true
  }

  /** Canonical: equal states have equal bytes. Only of a state that lies on no other. */
  write(writer: Writer): Writer {
    const names = [...this.#clients.keys()].sort()
    writer.u32(names.length)
    for (const name of names) {
      const sessions = this.#clients.get(name)!
      writer.bytes(clientOf(name)).u8(sessions.length)
      for (const { session, highest, bits } of sessions) {
        writer.u64(session).u64(highest)
        for (const word of bits) writer.u32(word)
      }
    }
    return writer
  }

  static read(reader: Reader): Used {
    const used = new Used()
    used.#count = reader.count(5)
    for (let left = used.#count; left > 0; left--) {
      const name = nameOf(reader.bytes())
      const sessions = Array.from({ length: reader.u8() }, () => {
        const [session, highest] = [reader.u64(), reader.u64()]
        return { session, highest, bits: Uint32Array.from({ length: words }, () => reader.u32()) }
      })
      used.#clients.set(name, sessions)
    }
    return used
  }

  #find(name: string): Sessions | undefined {
    const sessions = this.#clients.get(name)
    return sessions === undefined && this.#under !== undefined ? this.#under.#find(name) : sessions
  }
}

const isSet = (bits: Uint32Array, number: number): boolean => {
  const at = number % span
  return ((bits[at >>> 5]! >>> (at & 31)) & 1) === 1
}

function moved({ session, highest, bits: before }: Session, seq: number, count: number): Session {
  const bits = before.slice()
  const top = Math.max(highest, seq + count - 1)
  // The places of the numbers that come into view belonged to those that go out of it.
  for (let number = Math.max(highest + 1, top - span + 1); number <= top; number++) set(bits, number, 0)
  for (let number = seq; number < seq + count; number++) set(bits, number, 1)
  return { session, highest: top, bits }
}

function set(bits: Uint32Array, number: number, bit: 0 | 1): void {
  const at = number % span
  const mask = 1 << (at & 31)
  bits[at >>> 5] = bit === 1 ? bits[at >>> 5]! | mask : bits[at >>> 5]! & ~mask
}

/** A key of a map that costs less than hex digits: one character for each byte. */
/** Of clients that were seen last, each at a place that its key decides: a name is asked for many times. */
const names: { readonly client: Uint8Array; readonly name: string }[] = []

export function nameOf(client: Uint8Array): string {
  const place = ((client[0] ?? 0) << 4) ^ (client[1] ?? 0)
  const known = names[place]
  if (known !== undefined && isEqual(known.client, client)) return known.name
  const name = textOf(client)
  names[place] = { client: client.slice(), name }
  return name
}

const clientOf = (name: string): Uint8Array => Uint8Array.from(name, (character) => character.charCodeAt(0))
