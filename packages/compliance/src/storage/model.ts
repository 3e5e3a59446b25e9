import type { Index, LogWrite } from '@raftkit/contract'
import { blob, runOf } from './records.ts'

/**
 * What a log is, as the port tells it, naively: a list. `versions[i]` is the record at `floor + i`: records below `first` were compacted and may
 * still be there, those below `floor` were reset away and may not.
 */
export class Model {
  floor: Index = 1
  first: Index = 1
  versions: number[] = []
  state: string | undefined

  get last(): Index {
    return this.floor + this.versions.length - 1
  }

  apply({ tail, compactTo, state }: LogWrite, version: number): void {
    if (tail) {
      if (tail.reset) {
        this.floor = this.first = tail.at
        this.versions = []
      }
      this.versions.length = tail.at - this.floor
      for (let i = 0; i < tail.run.count; i++) this.versions.push(version)
    }
    if (compactTo !== undefined) this.first = Math.max(this.first, compactTo + 1)
    if (state) this.state = Buffer.from(state).toString('latin1')
  }

  /** A random write, carried out here as well; `version` marks what it makes. */
  next(below: (n: number) => number, version: number): LogWrite {
    const change: { -readonly [K in keyof LogWrite]: LogWrite[K] } = {}
    const kind = below(20)
    let last = this.last
    if (kind < 15) {
      // Mostly appends, at times a cut, small ones more often.
      const back = below(4) === 0 ? below(Math.min(last + 1 - this.first, 40) + 1) : 0
      const at = last + 1 - back
      const size = below(40) === 0 ? 40_000 : 20 + below(200)
      const sizes = Array.from({ length: below(6) === 0 ? 0 : 1 + below(12) }, () => size)
      change.tail = { at, run: runOf(at, version, sizes) }
    } else if (kind === 15) {
      const at = 1 + below(last + 50)
      const sizes = Array.from({ length: below(5) }, () => 24)
      change.tail = { at, run: runOf(at, version, sizes), reset: true }
    }
    if (change.tail) last = change.tail.at + change.tail.run.count - 1
    if (kind > 15 || below(10) === 0) change.state = blob(`state ${version}`)
    if (below(8) === 0) {
      const from = change.tail?.reset ? change.tail.at : this.first
      change.compactTo = Math.max(0, from - 1 + below(last - from + 2))
    }
    this.apply(change, version)
    return change
  }

  lines(from: Index): string[] {
    return this.versions.slice(from - this.floor).map((version, i) => `${from + i}.${version}`)
  }

  copy(): Model {
    const copy = new Model()
    copy.floor = this.floor
    copy.first = this.first
    copy.versions = [...this.versions]
    copy.state = this.state
    return copy
  }
}
