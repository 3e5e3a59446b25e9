import type { Index, LogWrite } from '@raftkit/contract'
import { run } from './records.ts'

const blob = (content: string): Uint8Array => new TextEncoder().encode(content)

/** A small generator, so that every run is the same. */
export function random(seed: number): (below: number) => number {
  let x = seed
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return Math.floor((x / 2 ** 32) * below)
  }
}

/** What a log is, as the port tells it. */
export class Model {
  first: Index = 1
  records: number[] = []
  state: string | undefined

  get last(): Index {
    return this.first + this.records.length - 1
  }

  /** A random write, carried out here; `version` marks its records. */
  next(below: (n: number) => number, version: number): LogWrite {
    const change: { -readonly [K in keyof LogWrite]: LogWrite[K] } = {}
    const kind = below(20)
    if (kind < 15) {
      // Mostly appends, at times a cut, small ones more often.
      const back = below(4) === 0 ? below(Math.min(this.records.length, 40) + 1) : 0
      const at = this.last + 1 - back
      const count = below(6) === 0 ? 0 : 1 + below(12)
      const size = below(40) === 0 ? 40_000 : 20 + below(200)
      change.tail = { at, run: run(at, count, version, size) }
      this.records.length = at - this.first
      for (let i = 0; i < count; i++) this.records.push(version)
    } else if (kind === 15) {
      const at = 1 + below(this.last + 50)
      const count = below(5)
      change.tail = { at, run: run(at, count, version), reset: true }
      this.first = at
      this.records = Array.from({ length: count }, () => version)
    }
    if (kind > 15 || below(10) === 0) {
      change.state = blob(`state ${version}`)
      this.state = `state ${version}`
    }
    if (below(8) === 0) {
      const compactTo = Math.max(0, this.first - 1 + below(this.records.length + 1))
      change.compactTo = compactTo
      const gone = compactTo + 1 - this.first
      if (gone > 0) {
        this.records.splice(0, gone)
        this.first = compactTo + 1
      }
    }
    return change
  }

  lines(from: Index = this.first): string[] {
    return this.records.slice(from - this.first).map((version, i) => `${from + i}.${version}`)
  }
}
