import type { Index } from '@raftkit/contract'
import { type Operation, Violation } from '../../watcher.ts'
import { absent, type Cell, type ReadOutput, type WriteInput, type WriteOutput, writeCell } from './registers.ts'

interface Execution {
  readonly id: number
  readonly index: Index
  readonly changed: boolean
  readonly before: number
}

interface Version {
  readonly index: Index
  readonly cell: Cell
}

interface Known {
  readonly operation: Operation
  /** The highest index that anybody had been told of when the operation began. */
  readonly floor: Index
}

/**
 * The client's oracle, in linear time: the log orders all operations, so a history is linearizable if every answer is what a single register
 * gives in that order, and no operation stands in it before one that had ended when it began. It also holds every outcome to its word: done is
 * executed exactly once, refused never, unknown at most once.
 */
export class Ledger {
  readonly #known = new Map<number, Known>()
  readonly #executed = new Map<number, Execution>()
  readonly #at = new Map<Index, Execution>()
  readonly #versions = new Map<string, Version[]>()
  /** Acknowledged writes by key: where each stands. */
  readonly #acknowledged = new Map<string, Index[]>()
  /** Acknowledged writes that were looked for in the end, and those that some member had not. */
  lookedFor = 0
  lost = 0
  #last: Index = 0
  /** Of all answers so far, linearizable ones. */
  #told: Index = 0

  get executions(): number {
    return this.#executed.size
  }

  /** The last command that some replica executed. */
  get last(): Index {
    return this.#last
  }

  wasExecuted(id: number): boolean {
    return this.#executed.has(id)
  }

  began(operation: Operation): void {
    this.#known.set(operation.id, { operation, floor: this.#told })
  }

  /** A replica executes the command at `index`. */
  executed(input: WriteInput, index: Index, { changed, before }: WriteOutput): void {
    const { id, key } = input
    const there = this.#at.get(index)
    if (there) {
      if (there.id !== id || there.changed !== changed || there.before !== before)
        throw new Violation('one history', `replicas execute different commands at ${index}`, {
          index,
          one: there,
          other: { id, changed, before },
        })
      return
    }
    const known = this.#known.get(id)
    if (!known) throw new Violation('no phantom', `operation ${id}, executed at ${index}, was never asked for`, input)
    const earlier = this.#executed.get(id)
    if (earlier)
      throw new Violation('exactly once', `operation ${id} is executed at ${earlier.index} and ${index}`, input)
    if (index <= this.#last)
      throw new Violation('in order', `${index} is executed for the first time after ${this.#last}`, input)
    if (index <= known.floor)
      throw new Violation(
        'real time',
        `operation ${id} began when ${known.floor} was known, but stands at ${index}`,
        input,
      )
    if (known.operation.outcome === 'refused')
      throw new Violation('honest refusal', `operation ${id} was refused, but is executed at ${index}`, known.operation)
    const versions = this.#versions.get(key) ?? []
    const cell = versions.at(-1)?.cell ?? absent
    const next = writeCell(cell, input)
    if (cell.value !== before || (next !== undefined) !== changed)
      throw new Violation('one register', `operation ${id} at ${index} found ${before} where ${cell.value} was`, input)
    if (next) versions.push({ index, cell: next })
    if (versions.length === 1) this.#versions.set(key, versions)
    const execution = { id, index, changed, before }
    this.#executed.set(id, execution)
    this.#at.set(index, execution)
    this.#last = index
  }

  /** A command was acknowledged (or its refusal, which is an answer of the machine as well). */
  wrote(operation: Operation, output: WriteOutput): void {
    const execution = this.#executed.get(operation.id)
    if (!execution || execution.index !== output.index || execution.changed !== output.changed)
      throw new Violation(
        'acknowledged is executed',
        `operation ${operation.id} was answered ${JSON.stringify(output)}`,
        {
          operation,
          execution,
        },
      )
    this.#told = Math.max(this.#told, output.index)
    const { key } = operation.input as WriteInput
    const acknowledged = this.#acknowledged.get(key)
    if (acknowledged) acknowledged.push(output.index)
    else this.#acknowledged.set(key, [output.index])
  }

  refused(operation: Operation): void {
    const execution = this.#executed.get(operation.id)
    if (execution)
      throw new Violation(
        'honest refusal',
        `operation ${operation.id} was executed at ${execution.index}, then refused`,
        {
          operation,
        },
      )
  }

  /** A read was answered. `fresh`: it promised to see all that was acknowledged before it began. */
  read(operation: Operation, key: string, output: ReadOutput, fresh: boolean): void {
    const { index } = output
    const { floor } = this.#known.get(operation.id)!
    if (fresh && index < floor)
      throw new Violation('no stale read', `operation ${operation.id} saw ${index}; ${floor} was known when it began`, {
        operation,
      })
    if (index !== 0 && !this.#at.has(index))
      throw new Violation('reads what is committed', `operation ${operation.id} saw ${index}, which nobody executed`, {
        operation,
      })
    const cell = this.#cellAt(key, index)
    if (cell.value !== output.value || cell.writes !== output.writes || cell.chain !== output.chain)
      throw new Violation(
        'reads a prefix',
        `operation ${operation.id} saw ${output.value} at ${index}, not ${cell.value}`,
        {
          operation,
          expected: cell,
        },
      )
    if (fresh) this.#told = Math.max(this.#told, index)
  }

  /** All that a replica holds in the end. */
  final(replica: string, last: Index, cells: ReadonlyMap<string, Cell>): void {
    this.#count(last, cells)
    if (last !== this.#last)
      throw new Violation('nothing is lost', `${replica} ends at ${last}, though ${this.#last} was executed`)
    for (const [key, versions] of this.#versions) {
      const { cell } = versions.at(-1)!
      const there = cells.get(key)
      if (there?.value !== cell.value || there.writes !== cell.writes || there.chain !== cell.chain)
        throw new Violation('nothing is lost', `${replica} ends with another ${key}`, { expected: cell, there })
    }
  }

  #count(last: Index, cells: ReadonlyMap<string, Cell>): void {
    let lost = 0
    this.lookedFor = 0
    for (const [key, indexes] of this.#acknowledged) {
      this.lookedFor += indexes.length
      const expected = this.#versions.get(key)?.at(-1)?.cell ?? absent
      const same = (cells.get(key) ?? absent).chain === expected.chain
      // Of a key that is not as it should be, none can be told to be there.
      lost += same ? indexes.filter((index) => index > last).length : indexes.length
    }
    this.lost = Math.max(this.lost, lost)
  }

  #cellAt(key: string, index: Index): Readonly<Cell> {
    const versions = this.#versions.get(key) ?? []
    let low = 0
    let high = versions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (versions[middle]!.index <= index) low = middle + 1
      else high = middle
    }
    return low === 0 ? absent : versions[low - 1]!.cell
  }
}
