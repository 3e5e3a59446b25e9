import type { Command } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { type Runner, suiteOf } from '../runner.ts'
import { applyingPromises } from './applying.ts'
import { restoringPromises } from './restoring.ts'
import type { MachineSubject } from './subject.ts'

export interface Given {
  readonly commands: readonly Command[]
  readonly seed: number
}

/** Defines the test of one promise. */
export type Promises = (name: string, body: (given: Given) => Promise<void>) => void

/** Defines the tests of every promise of the state machine port over one machine. Throws `INVALID_OPTION`. */
export function machineCompliance(runner: Runner, subject: MachineSubject): void {
  const suite = suiteOf(runner)
  const it: Promises = (name, body) =>
    suite.test(name, async () => body({ commands: check(await subject.commands()), seed: subject.seed ?? 1 }))
  suite.describe('applying and asking', () => applyingPromises(suite, it, subject))
  suite.describe('snapshots', () => restoringPromises(suite, it, subject))
}

function check(commands: readonly Command[]): readonly Command[] {
  const rising = commands.every(
    ({ index, time }, n) => n === 0 || (index > commands[n - 1]!.index && time >= commands[n - 1]!.time),
  )
  if (commands.length >= 30 && rising) return commands
  throw new RaftkitError(
    'INVALID_OPTION',
    'the subject gives at least 30 commands, with indexes that rise and times that never go back',
  )
}
