import { type Kept, readCorpus } from './corpus.ts'
import type { Allocations } from './judging/allocations.ts'
import { type Finding, Judge } from './judging/judge.ts'
import { pollution } from './judging/prototypes.ts'
import { mutate, type Seed } from './mutation/bytes.ts'
import { fieldsOf, guessFields } from './mutation/fields.ts'
import { mutateText } from './mutation/json.ts'
import { Random } from './mutation/random.ts'
import type { Subject, Target } from './targets/target.ts'
import type { Window } from './watched.ts'

/** What a worker has seen of a target in one go. */
export interface Tally {
  inputs: number
  /** How many were sealed after the mutation, and how many the parser took. */
  sealed: number
  taken: number
  /** Milliseconds, of the slowest input. */
  slowest: number
  largest: number
  grown: number
}

export interface Found extends Finding {
  readonly target: string
  readonly input: Uint8Array
  /** What the same subject was given before, if it keeps anything. */
  readonly before: readonly Uint8Array[]
  /** The name that the random numbers of the slice came from, and the input's number in it. */
  readonly round: string
  readonly number: number
}

const recentInputs = 400

/** A target with its seeds, ready to be given inputs. */
export class Range {
  readonly #target: Target
  readonly #seeds: Seed[] = []
  readonly #texts: string[] = []
  readonly judge: Judge
  readonly #window: Window
  #subject: Subject | undefined
  #given: Uint8Array[] = []
  #count = 0

  constructor(target: Target, allocations: Allocations, window: Window) {
    this.#target = target
    this.judge = new Judge(target, allocations)
    this.#window = window
  }

  /** Learns the fields of the seeds: those that are kept, or else what the encoders make. */
  async prepare(kept: readonly Kept[] = readCorpus(this.#target.name)): Promise<void> {
    const target = this.#target
    this.#window.enter('learning')
    const seeds = kept.length > 0 ? kept.map(({ bytes }) => bytes) : await target.seeds()
    let subject: Subject | undefined
    for (const given of seeds) {
      this.#window.enter('learning')
      const bytes = given.slice()
      if (target.text) {
        this.#texts.push(new TextDecoder().decode(bytes))
        this.#seeds.push({ bytes, fields: [] })
        continue
      }
      let fields = target.fields?.(bytes)
      if (!fields) {
        subject ??= await target.open()
        const learner = subject
        fields = await fieldsOf(bytes, (bytes) => learner.take(bytes))
        if (subject.spent) {
          await subject.close?.()
          subject = undefined
        }
      }
      this.#seeds.push({ bytes, fields: fields.length > 0 ? fields : guessFields(bytes) })
    }
    await subject?.close?.()
  }

  get seeds(): readonly Uint8Array[] {
    return this.#seeds.map(({ bytes }) => bytes)
  }

  /** The next input of these random numbers. */
  make(random: Random): { input: Uint8Array; sealed: boolean } {
    const { text, tokens = [], largest = 16_384, seal } = this.#target
    if (text) {
      const seed = random.pick(this.#texts)
      return { input: Buffer.from(mutateText(seed, this.#texts, random)).subarray(0, 65_536), sealed: false }
    }
    const input = mutate(random.pick(this.#seeds), this.#seeds, tokens, random, largest)
    const sealed = seal !== undefined && random.chance(0.5)
    return { input: sealed ? seal(input, random) : input, sealed }
  }

  /** What is wrong with it, if anything. */
  async give(input: Uint8Array): Promise<Finding | 'taken' | 'refused'> {
    const { lasts = Number.POSITIVE_INFINITY } = this.#target
    if (this.#subject && (this.#count >= lasts || this.#subject.spent)) await this.close()
    if (!this.#subject) {
      this.#window.enter('opening')
      this.#subject = await this.#target.open()
    }
    this.#count++
    this.#window.enter('taking', input)
    const verdict = await this.judge.judge(this.#subject, input)
    this.#window.enter('making')
    if (this.#target.lasts !== undefined) {
      if (this.#given.length >= recentInputs) this.#given.splice(0, recentInputs / 2)
      this.#given.push(input)
    }
    return verdict
  }

  /** Those that the subject was given before the last one. */
  get before(): readonly Uint8Array[] {
    return this.#given.slice(0, -1)
  }

  async close(): Promise<void> {
    const subject = this.#subject
    this.#subject = undefined
    this.#count = 0
    this.#given = []
    if (!subject?.close) return
    this.#window.enter('closing')
    await subject.close()
    this.#window.enter('making')
  }

  /** Inputs until `end` (of `performance.now`), or so many. */
  async run(round: string, end: number, most: number, report: (found: Found) => void): Promise<Tally> {
    const tally: Tally = { inputs: 0, sealed: 0, taken: 0, slowest: 0, largest: 0, grown: 0 }
    const random = new Random(round)
    const { name } = this.#target
    let began = performance.now()
    while (began < end && tally.inputs < most) {
      const { input, sealed } = this.make(random)
      began = performance.now()
      const verdict = await this.give(input)
      const ended = performance.now()
      tally.inputs++
      if (sealed) tally.sealed++
      if (ended - began > tally.slowest) tally.slowest = ended - began
      began = ended
      if (verdict === 'taken') tally.taken++
      else if (verdict !== 'refused') {
        report({ ...verdict, target: name, input, before: this.before, round, number: tally.inputs })
        await this.close()
      }
      // Targets of pure functions never let the event loop run by themselves.
      if (tally.inputs % 512 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await this.close()
    const polluted = pollution()
    if (polluted.length > 0)
      report({
        kind: 'pollution',
        what: polluted.join(', '),
        target: name,
        input: new Uint8Array(0),
        before: [],
        round,
        number: 0,
      })
    tally.largest = this.judge.largest
    tally.grown = this.judge.grown
    return tally
  }
}
