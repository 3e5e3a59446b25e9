import { copyValue, crc32, decodeValue, encodeValue, Reader, readValue, Writer, writeValue } from '@raftkit/bytes'
import { type Command, type Index, isRaftkitError, RaftkitError, type StateMachine } from '@raftkit/contract'
import { type CommandEntry, readEntry } from './entry.ts'
import type { AnyMachine, Context } from './machine.ts'
import { seededRandom } from './random.ts'
import { isRefusal } from './refusal.ts'
import { doneResult, expiredResult, openedResult, refusalResult, valueResult } from './result.ts'
import { SessionTable } from './sessions.ts'

/** A defined machine with its sessions, as the log drives it. */
export interface ReplicatedMachine extends StateMachine {
  /** The machine version in force: 1 until the log raises it. */
  readonly versionInForce: number
  /** Of the last entry that was applied, or that the restored snapshot holds. */
  readonly applied: Index
  /** Sessions held. */
  readonly sessions: number
  /**
   * Throws `MACHINE_MISMATCH` for a command that the definition does not know or that threw, and for a version above the definition's; `MALFORMED`
   * or `UNKNOWN_FORMAT` for an entry that cannot be read; `INVARIANT` for an index that came before. Afterwards it holds a half of
   * something, and every call throws the same again: the replica must stop.
   */
  apply(batch: readonly Command[]): readonly Uint8Array[]
  /** `question` is a `Question`. The result is a copy. Throws what the query throws; that stops nothing. */
  query(question: unknown): unknown
  /** Encoded in one go, so a large state costs a pause, and its size once more in memory until the last chunk is written. */
  snapshot(): AsyncIterable<Uint8Array>
  /** Throws `UNKNOWN_FORMAT`, `DAMAGED` or `MACHINE_MISMATCH`, and has then changed nothing. */
  restore(chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** State, sessions, versions and the last index in their one encoding: equal bytes mean equal machines. */
  encode(): Uint8Array
  /** SHA-256 of `encode`, of the machine as it is at the call. */
  hash(): Promise<Uint8Array>
  /** The state alone, as an encoded value. */
  stateBytes(): Uint8Array
}

/** A query on its way. */
export interface Question {
  readonly name: string
  readonly input: unknown
}

/** Throws `INVALID_VALUE` if the first state is none. */
export function replicate(definition: AnyMachine): ReplicatedMachine {
  return new Machine(definition)
}

const format = 1
const chunkBytes = 256 * 1024
/** Format, version, time, index, horizon, count of sessions, the shortest value, checksum. */
const leastBytes = 1 + 8 + 8 + 8 + 8 + 4 + 1 + 4

type CommandFunction = (state: object, input: unknown, context: Context) => unknown
type QueryFunction = (state: object, input: unknown) => unknown

class Machine implements ReplicatedMachine {
  readonly version: number
  // Maps: a name of the log or of a caller must not find what an object inherits.
  readonly #commands: ReadonlyMap<string, CommandFunction>
  readonly #queries: ReadonlyMap<string, QueryFunction>
  #state: object
  #sessions = new SessionTable()
  #versionInForce = 1
  #applied: Index = 0
  #time = 0
  #failure: unknown

  constructor(definition: AnyMachine) {
    this.version = definition.version
    this.#commands = new Map(Object.entries(definition.commands) as [string, CommandFunction][])
    this.#queries = new Map(Object.entries(definition.queries) as [string, QueryFunction][])
    // A copy: plain prototypes and nothing shared with the program, as on a replica that restored a snapshot.
    this.#state = checkState(copyValue(definition.initial()))
  }

  get versionInForce(): number {
    return this.#versionInForce
  }

  get applied(): Index {
    return this.#applied
  }

  get sessions(): number {
    return this.#sessions.size
  }

  apply(batch: readonly Command[]): readonly Uint8Array[] {
    this.#check()
    const results: Uint8Array[] = []
    try {
      for (const command of batch) results.push(this.#applyOne(command))
    } catch (error) {
      this.#failure = error
      throw error
    }
    return results
  }

  query(question: unknown): unknown {
    this.#check()
    const { name, input } = question as Question
    const run = this.#queries.get(name)
    if (!run) throw new RaftkitError('REFUSED', `this machine defines no query ${quote(name)}`, { outcome: 'refused' })
    return copyValue(run(this.#state, input))
  }

  snapshot(): AsyncIterable<Uint8Array> {
    const image = this.encode()
    return chunksOf(image, new Writer(4).u32(crc32(image)).finish())
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const image = await gather(chunks)
    if (image.length > 0 && image[0] !== format)
      throw new RaftkitError(
        'UNKNOWN_FORMAT',
        `the snapshot has format ${image[0]}; run a version of raftkit that reads it`,
      )
    const end = image.length - 4
    if (image.length < leastBytes || new Reader(image, end).u32() !== crc32(image, 0, 0, end))
      throw new RaftkitError('DAMAGED', `the checksum of a snapshot of ${image.length} bytes is wrong`)
    const reader = new Reader(image, 1, end)
    const versionInForce = reader.u64()
    if (versionInForce > this.version) throw this.#tooOld(versionInForce)
    try {
      const time = reader.u64()
      const applied = reader.u64()
      const sessions = SessionTable.read(reader)
      const state = checkState(readValue(reader))
      reader.end()
      this.#state = state
      this.#sessions = sessions
      this.#versionInForce = versionInForce
      this.#applied = applied
      this.#time = time
      this.#failure = undefined
    } catch (cause) {
      throw new RaftkitError('DAMAGED', 'a snapshot with a right checksum cannot be read', { cause })
    }
  }

  encode(): Uint8Array {
    return this.#write().finish()
  }

  async hash(): Promise<Uint8Array> {
    return new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', this.encode() as Uint8Array<ArrayBuffer>))
  }

  stateBytes(): Uint8Array {
    this.#check()
    return this.#valid(() => encodeValue(this.#state))
  }

  #applyOne({ index, time, seed, data, client }: Command): Uint8Array {
    if (index <= this.#applied)
      throw new RaftkitError(
        'INVARIANT',
        `entry ${index} came to a machine that holds everything up to ${this.#applied}`,
      )
    this.#applied = index
    this.#time = Math.max(this.#time, time)
    const entry = readEntry(data)
    switch (entry.type) {
      case 'command':
        return this.#command(entry, index, seed, client)
      case 'open':
        return openedResult(this.#sessions.open(entry.client, entry.limit, index))
      case 'close':
        this.#sessions.close(entry.session)
        return doneResult()
      case 'version':
        if (entry.version > this.version) throw this.#tooOld(entry.version)
        this.#versionInForce = Math.max(this.#versionInForce, entry.version)
        return doneResult()
    }
  }

  #command(entry: CommandEntry, index: Index, seed: number, client: Uint8Array | undefined): Uint8Array {
    const { ticket } = entry
    if (!ticket) return this.#execute(entry, index, seed, client)
    const admission = this.#sessions.admit(ticket, index)
    if (admission.type === 'repeated') return admission.answer
    if (admission.type === 'expired') return expiredResult(admission.horizon)
    const answer = this.#execute(entry, index, seed, client)
    this.#sessions.record(ticket, answer)
    return answer
  }

  #execute({ name, input }: CommandEntry, index: Index, seed: number, client: Uint8Array | undefined): Uint8Array {
    const run = this.#commands.get(name)
    if (!run)
      throw mismatch(
        `entry ${index} holds the command ${quote(name)}, which this machine does not define; run a version that does`,
      )
    const value = decodeValue(input)
    let next: (() => number) | undefined
    const context: Context = {
      index,
      time: this.#time,
      client,
      version: this.#versionInForce,
      random() {
        next ??= seededRandom(seed, index)
        return next()
      },
    }
    let result: unknown
    try {
      result = run(this.#state, value, context)
    } catch (error) {
      if (isRefusal(error)) return refusalResult(error)
      throw mismatch(
        `the command ${quote(name)} of entry ${index} threw; mend the machine and start again (only a Refusal is a result)`,
        error,
      )
    }
    if (typeof (result as { then?: unknown } | null | undefined)?.then === 'function')
      throw mismatch(`the command ${quote(name)} of entry ${index} returned a promise; commands must be synchronous`)
    return valueResult(result)
  }

  #write(): Writer {
    this.#check()
    const writer = new Writer(4096).u8(format).u64(this.#versionInForce).u64(this.#time).u64(this.#applied)
    this.#sessions.write(writer)
    return this.#valid(() => {
      writeValue(writer, this.#state)
      return writer
    })
  }

  /** A state that is no value has been so since some command: it stops the replica where it is found. */
  #valid<T>(encode: () => T): T {
    try {
      return encode()
    } catch (error) {
      if (!isRaftkitError(error, 'INVALID_VALUE')) throw error
      this.#failure = mismatch('a command has put something into the state that is no value', error)
      throw this.#failure
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #tooOld(version: number): RaftkitError {
    return mismatch(
      `version ${version} of the machine is in force, and this replica runs ${this.version}; run ${version} or newer`,
    )
  }
}

function checkState(state: unknown): object {
  if (typeof state === 'object' && state !== null) return state
  throw new RaftkitError(
    'INVALID_VALUE',
    'the state must be an object, a Map, a Set or an array: commands change it in place',
  )
}

function mismatch(sentence: string, cause?: unknown): RaftkitError {
  return new RaftkitError('MACHINE_MISMATCH', sentence, { cause })
}

function quote(name: unknown): string {
  return JSON.stringify(String(name))
}

async function* chunksOf(image: Uint8Array, checksum: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < image.length; at += chunkBytes) yield image.subarray(at, at + chunkBytes)
  yield checksum
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of chunks) {
    parts.push(part)
    length += part.length
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
