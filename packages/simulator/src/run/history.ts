import { type Operation as Checked, type Command, checkHistory } from '@raftkit/linearizability'
import { type Operation, Violation } from '../watcher.ts'
import type { ReadOutput, WriteInput, WriteOutput } from './workload/registers.ts'

type Line = Checked<Command, number | boolean | null>

/** A history that the checker gives up on is no proof; keys are changed so often that this does not happen. */
const limits = { steps: 2_000_000, memory: 64 * 1024 * 1024 }

/**
 * What clients saw, in the order in which they saw it: a simulation is one sequence, so every begin and end has its own moment. An independent
 * checker judges it in the end; the ledger's order by the log must not be the only witness.
 */
export class History {
  readonly #operations: Operation[] = []
  readonly #begun = new Map<number, number>()
  readonly #ended = new Map<number, number>()
  #moment = 0

  get size(): number {
    return this.#operations.length
  }

  began(operation: Operation): void {
    this.#operations.push(operation)
    this.#begun.set(operation.id, ++this.#moment)
  }

  ended(operation: Operation): void {
    this.#ended.set(operation.id, ++this.#moment)
  }

  /** `wasExecuted`: the log as witness of what nobody was told (as etcd's checks do); without it, unknown writes make the search explode. */
  check(wasExecuted: (id: number) => boolean): number {
    const lines: Line[] = []
    const lives = new Map<string, number>()
    for (const operation of this.#operations) {
      const { client, outcome = 'unknown' } = operation
      const life = lives.get(client) ?? 0
      // Who does not know what became of its call begins a new life.
      if (outcome === 'unknown') lives.set(client, life + 1)
      const command = commandOf(operation)
      if (!command || (outcome === 'unknown' && !wasExecuted(operation.id))) continue
      lines.push({
        client: `${client}/${life}`,
        ...command,
        call: this.#begun.get(operation.id)!,
        return: this.#ended.get(operation.id),
        ok: outcome === 'done' ? true : outcome === 'refused' ? false : 'unknown',
      })
    }
    if (lines.length === 0) return 0
    const report = checkHistory(lines, limits)
    if (report.verdict !== 'ok')
      throw new Violation('linearizable', `the history of ${report.offending[0]?.key} is ${report.verdict}`, {
        offending: report.offending[0],
      })
    return report.checked
  }
}

function commandOf(operation: Operation): Pick<Line, 'key' | 'input' | 'output'> | undefined {
  const { kind, outcome } = operation
  if (kind === 'get' || kind === 'lease') {
    const { key } = operation.input as { readonly key: string }
    if (outcome !== 'done') return undefined
    const { value } = operation.output as ReadOutput
    return { key, input: { op: 'get' }, output: value === 0 ? null : value }
  }
  const input = operation.input as WriteInput
  const output = outcome === 'done' ? (operation.output as WriteOutput) : undefined
  switch (input.kind) {
    case 'put':
      return { key: input.key, input: { op: 'put', value: input.id } }
    case 'cas':
      return {
        key: input.key,
        input: { op: 'cas', from: input.expect === 0 ? null : input.expect, to: input.id },
        output: output?.changed,
      }
    case 'erase':
      return { key: input.key, input: { op: 'delete' }, output: output && output.before !== 0 }
    default:
      return undefined
  }
}
