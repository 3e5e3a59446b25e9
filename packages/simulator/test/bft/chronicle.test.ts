import type { Command } from '@raftkit/contract'
import { expect, test } from 'vitest'
import { Chronicle } from '../../src/bft/chronicle.ts'

const command = (index: number): Command => ({ index, time: 0, seed: 0, data: new Uint8Array([index]) })

// simulate --protocol bft, seeds 877 and 987: members agreed on a state that held one entry more than its checkpoint said.
test('what is written down is frozen when it is asked for, whatever is applied before it is read', async () => {
  const reached: [number, number][] = []
  const chronicle = new Chronicle((index, state) => reached.push([index, state]))
  chronicle.apply([command(1)])
  const written = chronicle.snapshot()
  chronicle.apply([command(2)])
  const restored: [number, number][] = []
  await new Chronicle((index, state) => restored.push([index, state])).restore(written)
  expect(restored).toEqual([reached[0]])
})
