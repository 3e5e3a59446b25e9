import type { MachineSubject } from '@raftkit/compliance'
import type { Command, StateMachine } from '@raftkit/contract'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A small machine by hand, of which the broken ones change a part: words, and how often and when each was said. */
export class Tally implements StateMachine {
  readonly version: number = 1
  protected words = new Map<string, { count: number; first: number; last: number }>()

  apply(batch: readonly Command[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    return batch.map((command) => this.one(command))
  }

  protected one({ index, time, data }: Command): Uint8Array {
    const [verb, word] = decoder.decode(data).split(' ') as [string, string]
    if (verb === 'say') return encoder.encode(`${this.say(word, index, time)} times`)
    if (verb === 'forget') return encoder.encode(this.words.delete(word) ? 'forgotten' : 'never heard')
    throw new Error(`no such command: ${verb}`)
  }

  protected say(word: string, index: number, time: number): number {
    const before = this.words.get(word)
    this.words.set(word, { count: (before?.count ?? 0) + 1, first: before?.first ?? index, last: time })
    return this.words.get(word)!.count
  }

  query(question: unknown): unknown {
    if (question === 'all') return [...this.words]
    return this.words.get(String(question)) ?? null
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return lines([...this.words].map((entry) => JSON.stringify(entry)))
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.words = new Map(await entries(chunks))
  }
}

export async function* lines(all: readonly string[]): AsyncGenerator<Uint8Array> {
  yield encoder.encode('tally\n')
  for (const line of all) yield encoder.encode(`${line}\n`)
}

export async function entries(
  chunks: AsyncIterable<Uint8Array>,
): Promise<[string, { count: number; first: number; last: number }][]> {
  const stream = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) text += stream.decode(chunk, { stream: true })
  return text
    .split('\n')
    .slice(1, -1)
    .map((line) => JSON.parse(line))
}

const words = ['one', 'two', 'three', 'äpfel', 'five', 'six', 'seven']

export function tally(create: () => StateMachine): MachineSubject {
  return {
    create,
    commands: () =>
      Array.from({ length: 240 }, (_, n) => ({
        index: 2 * n + 1,
        time: 1_700_000_000_000 + n * 17,
        seed: Math.imul(n, 2_654_435_761) >>> 0,
        data: encoder.encode(`${n % 11 === 10 ? 'forget' : 'say'} ${words[(n * 5) % words.length]}`),
      })),
    questions: ['all', 'one', 'äpfel', 'nothing'],
    unknown: encoder.encode('shout one'),
  }
}
