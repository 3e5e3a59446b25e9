import { encodeValue, Writer } from '@raftkit/bytes'
import { defineMachine, type ReplicatedMachine, replicate } from 'raftkit'
import type { Machine, Scope } from '../system/scope.ts'

/** Counts how often each command was executed. */
const counting = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    add: (counts, key: string) => {
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      return count
    },
  },
  queries: { all: (counts) => [...counts] },
})

/**
 * Raftkit's sessions, with room for one. Commands are `open x`, and `x:1`, the first command of the client x, in the session it opened first.
 * The state is what was applied: the real machine holds what follows from it.
 */
const sessions: Machine = {
  empty: '[]',
  apply(state, command, index) {
    const history = JSON.parse(state) as [index: number, command: string][]
    history.push([index, command])
    return { state: JSON.stringify(history), answer: '' }
  },
  wrong(state) {
    const history = JSON.parse(state) as [index: number, command: string][]
    const answers = new Map<string, string>()
    const machine = replicate(counting)
    for (const [index, command] of history) {
      const answer = told(machine, history, index, command)
      const before = answers.get(command)
      if (!answer.startsWith(opened) && !answer.startsWith(expired)) {
        if (before !== undefined && before !== answer) return `“${command}” was answered ${before}, and then ${answer}`
        answers.set(command, answer)
      }
    }
    for (const [key, count] of machine.query({ name: 'all', input: undefined }) as [string, number][])
      if (count > 1) return `“${key}” was executed ${count} times`
    return undefined
  },
}

/** The tags of results that are not answers of the command. */
const opened = '3,'
const expired = '4,'

function told(
  machine: ReplicatedMachine,
  history: readonly (readonly [number, string])[],
  index: number,
  command: string,
): string {
  const client = command.replace(/^open |:.*$/g, '')
  const session = history.find(([, earlier]) => earlier === `open ${client}`)?.[0] ?? 99
  const data = command.startsWith('open ')
    ? new Writer()
        .u8(1)
        .u8(3)
        .raw(new Uint8Array(16).fill(client.charCodeAt(0)))
        .u8(1)
        .finish()
    : new Writer().u8(1).u8(2).u8(session).u8(1).u8(0).text('add').raw(encodeValue(command)).finish()
  return machine.apply([{ index, time: 0, seed: 0, data }])[0]!.join()
}

export const sessionScopes: readonly Scope[] = [
  {
    name: 'sessions',
    about: 'two clients, room for one session: commands that are tried again, before and after the session is evicted',
    servers: ['n1', 'n2', 'n3'],
    machine: sessions,
    commands: ['open x', 'x:1', 'x:1', 'open y', 'x:1', 'y:1'],
    budgets: { propose: 6, campaign: 1, snapshot: 1, retry: 1 },
    limits: { trailingEntries: 0 },
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 3_000_000,
  },
]
