import type { StateMachine } from '@raftkit/contract'

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (data: Uint8Array): string => new TextDecoder().decode(data)

/** Keeps the texts of all commands; the result of each is how many there are. */
export class Journal implements StateMachine {
  readonly version = 1
  texts: string[] = []
  batches: number[] = []
  /** Until it is called, apply does not return. */
  release: (() => void) | undefined
  slow = false

  apply(batch: Parameters<StateMachine['apply']>[0]): Uint8Array[] | Promise<Uint8Array[]> {
    this.batches.push(batch.length)
    const run = (): Uint8Array[] =>
      batch.map(({ data }) => {
        const text = textOf(data)
        if (text === 'poison') throw new Error('cannot swallow this')
        this.texts.push(text)
        return bytes(`${this.texts.length}`)
      })
    if (!this.slow) return run()
    return new Promise((resolve) => {
      this.release = () => resolve(run())
    })
  }

  query(question: unknown): unknown {
    if (question === 'bad') throw new Error('no such question')
    return this.texts.length
  }

  snapshot(): AsyncIterable<Uint8Array> {
    const frozen = bytes(JSON.stringify(this.texts))
    return (async function* () {
      yield frozen
    })()
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    let text = ''
    for await (const chunk of chunks) text += textOf(chunk)
    this.texts = JSON.parse(text)
  }
}
