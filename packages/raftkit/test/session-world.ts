import { RaftkitError } from '@raftkit/contract'
import { type ClientSession, type ClientSessionOptions, clientSession } from '../src/client-session.ts'
import { readEntry } from '../src/entry.ts'
import { defineMachine } from '../src/machine.ts'
import { Refusal } from '../src/refusal.ts'
import type { ReplicatedMachine } from '../src/replicate.ts'
import { calm, Sequencer, type Weather } from './sequencer.ts'
import { VirtualWorld } from './virtual-world.ts'

/** Every item that was ever appended, in order: what was executed twice stands there twice. */
export const list = defineMachine({
  initial: () => ({ items: [] as string[] }),
  commands: {
    append: (state, item: string) => state.items.push(item),
    appendOrRefuse: (state, item: string) => {
      state.items.push(item)
      throw new Refusal(`${item} is in, but no`, { code: 'NO', details: state.items.length })
    },
  },
  queries: { items: (state) => state.items },
})

export const itemsOf = (machine: ReplicatedMachine): string[] =>
  machine.query({ name: 'items', input: undefined }) as string[]

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** How a call ended, known as soon as it has. */
export interface Ending {
  value?: unknown
  error?: unknown
}

export function watch(call: Promise<unknown>): Ending {
  const ending: Ending = {}
  call.then(
    (value) => {
      ending.value = value
    },
    (error) => {
      ending.error = error
    },
  )
  return ending
}

export interface Setting {
  readonly world: VirtualWorld
  readonly sequencer: Sequencer
  readonly session: ClientSession
}

export function setUp(options: Partial<ClientSessionOptions> = {}, weather: Partial<Weather> = {}, seed = 1): Setting {
  const world = new VirtualWorld(seed)
  const sequencer = new Sequencer(world, list)
  sequencer.weather = { ...calm, ...weather }
  const session = clientSession({
    propose: sequencer.propose,
    environment: world,
    applied: () => sequencer.machine.applied,
    attemptTimeout: 100,
    ...options,
  })
  return { world, sequencer, session }
}

/** The first `count` commands get in, and none of their answers gets out. */
export function deafen(sequencer: Sequencer, count: number): ClientSessionOptions['propose'] {
  let left = count
  return (data, signal) => {
    if (readEntry(data).type !== 'command' || left-- <= 0) return sequencer.propose(data, signal)
    return new Promise((_resolve, reject) => {
      sequencer.place(data)
      signal.addEventListener('abort', () => reject(new RaftkitError('ABORTED', 'nobody waits')), { once: true })
    })
  }
}
