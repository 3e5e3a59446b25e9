import type { Command, StateMachine } from '@raftkit/contract'
import { entries, lines, Tally } from './tally.ts'

/** A machine with a mistake that an author could make: the promise that it breaks, and what the suite says then. */
export interface Broken {
  readonly mistake: string
  readonly create: () => StateMachine
  /** The name of the test. */
  readonly promise: string
  readonly says: RegExp
}

const shared = new Map()
const buffer = new Uint8Array(64)
const anywhere = 'snapshot, restore and apply give what apply alone gives, wherever the snapshot was taken'
const frozen = 'a snapshot is frozen on return: what is applied while it is read does not show'

export const brokenMachines: readonly Broken[] = [
  {
    mistake: 'it reads the clock',
    create: () =>
      new (class extends Tally {
        protected override say(word: string, index: number): number {
          return super.say(word, index, Math.floor(Date.now() / 3_600_000))
        }
      })(),
    promise: 'neither clock nor dice of the machine that runs it show',
    says: /a replica at another time: the answers/,
  },
  {
    mistake: 'it throws dice of its own',
    create: () =>
      new (class extends Tally {
        protected override say(word: string, index: number, time: number): number {
          return super.say(word, index, time) + (Math.random() < 0.5 ? 1 : 0)
        }
      })(),
    promise: 'equal commands give equal results and equal states',
    says: /command \d+: result 1: byte 0 /,
  },
  {
    mistake: 'its state is a global variable',
    create: () =>
      new (class extends Tally {
        protected override words = shared
      })(),
    promise: 'a new machine is empty, whatever others have applied',
    says: /what an empty machine answers, beside one that has applied much/,
  },
  {
    mistake: 'the size of a batch shows in the results',
    create: () =>
      new (class extends Tally {
        override async apply(batch: readonly Command[]): Promise<readonly Uint8Array[]> {
          const results = await super.apply(batch)
          return results.map((result) => (batch.length > 3 ? result : new Uint8Array([...result, 33])))
        }
      })(),
    promise: 'how commands are split into batches does not show',
    says: /all in one batch: result 1/,
  },
  {
    mistake: 'commands of a batch that say the same are taken for one',
    create: () =>
      new (class extends Tally {
        override apply(batch: readonly Command[]): readonly Uint8Array[] {
          const seen = new Map<string, Uint8Array>()
          return batch.map((command) => {
            const key = String(command.data)
            if (!seen.has(key)) seen.set(key, this.one(command))
            return seen.get(key)!
          })
        }
      })(),
    promise: 'how commands are split into batches does not show',
    says: /all in one batch: result \d+/,
  },
  {
    mistake: 'a result is missing for a command whose result is of no interest',
    create: () =>
      new (class extends Tally {
        override async apply(batch: readonly Command[]): Promise<readonly Uint8Array[]> {
          return (await super.apply(batch)).filter(
            (result) => !new TextDecoder().decode(result).startsWith('forgotten'),
          )
        }
      })(),
    promise: 'equal commands give equal results and equal states',
    says: /apply gives one result for each command/,
  },
  {
    mistake: 'all results lie in one buffer',
    create: () =>
      new (class extends Tally {
        protected override one(command: Command): Uint8Array {
          const result = super.one(command)
          buffer.set(result)
          return buffer.subarray(0, result.length)
        }
      })(),
    promise: 'bytes are left alone: data that came, results that were given',
    says: /the result of command \d+, looked at again/,
  },
  {
    mistake: 'it writes into the data of a command',
    create: () =>
      new (class extends Tally {
        protected override one(command: Command): Uint8Array {
          const result = super.one(command)
          command.data.fill(0)
          return result
        }
      })(),
    promise: 'bytes are left alone: data that came, results that were given',
    says: /the data of command \d+, looked at again/,
  },
  {
    mistake: 'a query counts as a visit',
    create: () =>
      new (class extends Tally {
        override query(question: unknown): unknown {
          const entry = this.words.get(String(question))
          if (entry) this.say(String(question), 0, entry.last)
          return super.query(question)
        }
      })(),
    promise: 'a query changes nothing',
    says: /asked twice/,
  },
  {
    mistake: 'an answer is the live state',
    create: () =>
      new (class extends Tally {
        override query(question: unknown): unknown {
          return question === 'all' ? this.words : super.query(question)
        }
      })(),
    promise: 'an answer stays what it was, whatever is applied afterwards',
    says: /an answer has changed since it was given/,
  },
  {
    mistake: 'a command that it does not know is skipped',
    create: () =>
      new (class extends Tally {
        protected override one(command: Command): Uint8Array {
          try {
            return super.one(command)
          } catch {
            return new Uint8Array(0)
          }
        }
      })(),
    promise: 'a command that the machine does not know throws, on every replica',
    says: /apply skipped a command that it does not know/,
  },
  {
    mistake: 'a snapshot reads the state while it is streamed',
    create: () =>
      new (class extends Tally {
        override async *snapshot(): AsyncGenerator<Uint8Array> {
          yield* lines([])
          for (const entry of this.words) yield new TextEncoder().encode(`${JSON.stringify(entry)}\n`)
        }
      })(),
    promise: frozen,
    says: /a snapshot that was read while commands were applied/,
  },
  {
    mistake: 'a snapshot begins when it is read first',
    create: () =>
      new (class extends Tally {
        override async *snapshot(): AsyncGenerator<Uint8Array> {
          yield* lines([...this.words].map((entry) => JSON.stringify(entry)))
        }
      })(),
    promise: frozen,
    says: /a snapshot that was read while commands were applied/,
  },
  {
    mistake: 'a snapshot leaves a part of the state out',
    create: () =>
      new (class extends Tally {
        override snapshot(): AsyncIterable<Uint8Array> {
          return lines([...this.words].map(([word, entry]) => JSON.stringify([word, { ...entry, first: 0 }])))
        }
      })(),
    promise: anywhere,
    says: /restored after \d+ commands: the answers/,
  },
  {
    mistake: 'restore adds to what is there',
    create: () =>
      new (class extends Tally {
        override async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
          for (const [word, entry] of await entries(chunks)) this.words.set(word, entry)
        }
      })(),
    promise: 'restore replaces everything',
    says: /a machine that (held more|is restored to the beginning)/,
  },
  {
    mistake: 'restore takes each chunk for a line',
    create: () =>
      new (class extends Tally {
        override async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
          this.words.clear()
          for await (const chunk of chunks) {
            const line = new TextDecoder().decode(chunk)
            if (line.startsWith('[')) this.words.set(...(JSON.parse(line) as Parameters<typeof this.words.set>))
          }
        }
      })(),
    promise: 'how a snapshot is cut into chunks does not show',
    says: /one chunk: the answers/,
  },
  {
    mistake: 'restore takes what it got before the disk failed',
    create: () =>
      new (class extends Tally {
        override async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
          const got: Uint8Array[] = []
          try {
            for await (const chunk of chunks) got.push(chunk)
          } catch {
            // As it stands.
          }
          await super.restore(lines([...(await entries(streamOf(got)))].map((entry) => JSON.stringify(entry))))
        }
      })(),
    promise: 'restore rejects when its chunks do',
    says: /restore took a snapshot whose chunks ended with an error/,
  },
  {
    mistake: 'the version tells of the instance',
    create: () =>
      new (class extends Tally {
        static made = 0
        override readonly version = ++(this.constructor as unknown as { made: number }).made
        override async apply(batch: readonly Command[]): Promise<readonly Uint8Array[]> {
          Object.assign(this, { version: this.version + 1 })
          return super.apply(batch)
        }
      })(),
    promise: 'the version is a whole number from 0 on, the same in every instance, and stays',
    says: /Expected values to be strictly equal/,
  },
]

async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}
