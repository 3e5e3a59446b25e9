import assert from 'node:assert/strict'
import type { Command, StateMachine } from '@raftkit/contract'
import { sameBytes, Watched } from '../check.ts'
import type { MachineSubject } from './subject.ts'

/** A machine as a node drives it: batch by batch, each after the one before has settled. */
export class Replica {
  readonly machine: StateMachine
  readonly results: Uint8Array[] = []
  readonly #subject: MachineSubject
  readonly #watched: Watched[] = []

  constructor(subject: MachineSubject) {
    this.#subject = subject
    this.machine = subject.create()
  }

  async apply(batch: readonly Command[]): Promise<void> {
    if (batch.length === 0) return
    for (const { index, data } of batch) this.#watched.push(Watched.received(data, `the data of command ${index}`))
    const results: readonly Uint8Array[] = await this.machine.apply(Object.freeze([...batch]))
    assert.ok(Array.isArray(results), 'apply gives an array of results')
    assert.equal(results.length, batch.length, 'apply gives one result for each command')
    for (const [n, result] of results.entries()) {
      const index = batch[n]!.index
      assert.ok(result instanceof Uint8Array, `the result of command ${index} is a Uint8Array`)
      this.#watched.push(Watched.received(result, `the result of command ${index}`))
      this.results.push(result)
    }
  }

  /** One command at a time. */
  async steps(commands: readonly Command[]): Promise<void> {
    for (const command of commands) await this.apply([command])
  }

  answers(): unknown[] {
    return this.#subject.questions.map((question) => this.machine.query(question))
  }

  /** Chunk by chunk, as it is streamed. */
  async snapshot(): Promise<readonly Uint8Array[]> {
    return this.gather(this.machine.snapshot())
  }

  async gather(snapshot: AsyncIterable<Uint8Array>): Promise<readonly Uint8Array[]> {
    const chunks: Uint8Array[] = []
    for await (const chunk of snapshot) {
      assert.ok(chunk instanceof Uint8Array, 'a chunk of a snapshot is a Uint8Array')
      this.#watched.push(Watched.received(chunk, `chunk ${chunks.length} of a snapshot`))
      chunks.push(chunk)
    }
    return chunks
  }

  async restore(chunks: readonly Uint8Array[]): Promise<void> {
    for (const [n, chunk] of chunks.entries()) this.#watched.push(Watched.received(chunk, `chunk ${n} to restore from`))
    await this.machine.restore(streamed(chunks))
  }

  /** Fails unless this machine and `other` answer alike and, if equal states have equal snapshots, are equal byte for byte. */
  async equals(other: Replica, what: string): Promise<void> {
    assert.deepEqual(this.answers(), other.answers(), `${what}: the answers to the questions`)
    if (this.#subject.canonical ?? true)
      sameBytes(Buffer.concat(await this.snapshot()), Buffer.concat(await other.snapshot()), `${what}: the snapshots`)
  }

  /** Fails if any bytes that were handed over, in either direction, have changed since. */
  unchanged(): void {
    for (const bytes of this.#watched) bytes.unchanged()
  }
}

/** A turn of the event loop passes before each chunk, as on a disk. */
export async function* streamed(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await new Promise((resolve) => setImmediate(resolve))
    yield chunk
  }
}

export function sameResults(actual: readonly Uint8Array[], expected: readonly Uint8Array[], what: string): void {
  assert.equal(actual.length, expected.length, `${what}: how many results there are`)
  for (const [n, bytes] of expected.entries()) sameBytes(actual[n]!, bytes, `${what}: result ${n + 1}`)
}
