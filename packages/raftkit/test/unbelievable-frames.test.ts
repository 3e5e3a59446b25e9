import type { Receiver, Transport } from '@raftkit/contract'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'
import { encodeFrame } from '../src/frame.ts'
import { heard, start } from './echo-node.ts'
import { bytes } from './journal.ts'

describe('frames that must not be believed', () => {
  test('are refused, counted, and change nothing', async () => {
    const { receiver, transport } = tapped()
    const { node, events } = await start({ transport })
    const { incarnation, genesis } = node.status()
    const message = { group: 'main', from: 'e'.repeat(32), to: '', parts: echoParts('hello') }
    const frame = (genesis: string, difference: Partial<typeof message>): Uint8Array =>
      Uint8Array.from(Buffer.concat(encodeFrame('control', genesis, [{ ...message, ...difference }])))
    // The connection by which such a frame came is closed.
    expect(receiver().frame('n2', new Uint8Array([1, 2, 3]))).toBe(false)
    expect(receiver().frame('n2', frame('d'.repeat(32), {}))).toBe(false)
    expect(receiver().frame('n2', frame(genesis, { to: 'f'.repeat(32) }))).toBe(true)
    expect(receiver().frame('n2', frame(genesis, { group: 'other' }))).toBe(true)
    expect(receiver().frame('n2', frame(genesis, { parts: [bytes('no message')] }))).toBe(true)
    await node.propose(bytes('a'))
    expect(heard(events)).toEqual([])
    const refused = events.flatMap((event) => (event.type === 'refused' ? [event.code] : []))
    expect(refused).toEqual(['MALFORMED', 'REFUSED', 'MALFORMED'])
    expect(events.filter(({ type }) => type === 'dropped')).toHaveLength(2)
    receiver().frame('n2', frame(genesis, { to: incarnation }))
    await node.propose(bytes('b'))
    expect(heard(events)).toEqual(['hello'])
    expect(node.prometheus()).toMatch(/raft_refused_total\{[^}]*code="MALFORMED"\} 2/)
  })

  test('do not fill the memory while the process has no turn: bulk is dropped, control is not', async () => {
    const { receiver, transport } = tapped()
    const { node, events } = await start({ transport, limits: { backlogBytes: 65_536 } })
    const { genesis } = node.status()
    const frame = (lane: 'control' | 'bulk', text: string): Uint8Array => {
      const message = { group: 'main', from: 'e'.repeat(32), to: '', parts: echoParts(text) }
      return Uint8Array.from(Buffer.concat(encodeFrame(lane, genesis, [message])))
    }
    for (const name of ['one', 'two', 'three']) receiver().frame('n2', frame('bulk', name.padEnd(30_000)))
    receiver().frame('n2', frame('control', 'vote'))
    await node.propose(bytes('a'))
    expect(heard(events).map((text) => text.trim())).toEqual(['vote', 'one', 'two'])
    expect(events.filter(({ type }) => type === 'dropped')).toHaveLength(1)
    receiver().frame('n2', frame('bulk', 'four')) // a turn later there is room again
    await node.propose(bytes('b'))
    expect(heard(events)).toContain('four')
  })
})

/** A transport whose receiver the test can call. */
function tapped(): { readonly receiver: () => Receiver; readonly transport: Transport } {
  const inner = memoryNetwork().transport()
  let receiver: Receiver | undefined
  const transport: Transport = {
    contract: 1,
    maxFrameBytes: inner.maxFrameBytes,
    start: (self, given) => {
      receiver = given
      return inner.start(self, given)
    },
    send: (to, frame, lane) => inner.send(to, frame, lane),
    setPeers: (peers) => inner.setPeers(peers),
    close: () => inner.close(),
  }
  return { receiver: () => receiver!, transport }
}

function echoParts(text: string): readonly Uint8Array[] {
  const part = (value: string): Uint8Array => {
    const data = bytes(value)
    const part = new Uint8Array(4 + data.length)
    new DataView(part.buffer).setUint32(0, data.length, true)
    part.set(data, 4)
    return part
  }
  return [part('echo'), part(text)]
}
