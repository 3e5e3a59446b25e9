import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certifyMembers, folderOf, freePorts } from '@raftkit/app-kv'
import { readTls } from '@raftkit/certificates'
import type { Receiver, Transport } from '@raftkit/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Adapters, transports } from '../src/adapters.ts'
import { Network } from '../src/network/network.ts'
import { routed } from '../src/network/routed.ts'
import { Random } from '../src/random.ts'

// Members with --tls, through the proxies that play the network.

let directory: string
let network: Network
let running: Transport[]
let founders: Map<string, string>

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'raftkit-chaos-'))
  running = []
  await certifyMembers(directory, 'chaos', ['a', 'b'])
  const [at] = await freePorts(1)
  founders = new Map([
    ['a', '127.0.0.1:1'],
    ['b', `127.0.0.1:${at}`],
  ])
  network = new Network(founders, new Random(1))
  await network.open()
})
afterEach(async () => {
  await Promise.all(running.map((transport) => transport.close()))
  await network.close()
  rmSync(directory, { recursive: true })
})

interface Heard {
  readonly frames: number[]
  up: number
  readonly refused: string[]
}

async function start(id: string, name: Adapters['transport'], { tls }: { tls: boolean }): Promise<[Transport, Heard]> {
  const heard: Heard = { frames: [], up: 0, refused: [] }
  const receiver: Receiver = {
    hello: () => new TextEncoder().encode(id),
    admit: (hello) => new TextDecoder().decode(hello),
    frame: (_, frame) => heard.frames.push(new DataView(frame.buffer, frame.byteOffset).getUint32(0)),
    link: (_, state) => {
      if (state === 'up') heard.up++
    },
  }
  const transport = routed(
    await transports[name]({
      ...(tls && { tls: () => readTls(folderOf(directory, id)) }),
      onReport: ({ kind, reason }) => void (kind === 'refused' && heard.refused.push(reason)),
    }),
    network.routes(id),
  )
  running.push(transport)
  await transport.start(id === 'b' ? { id, address: founders.get('b')! } : { id }, receiver)
  if (id === 'a') transport.setPeers([{ id: 'b', address: founders.get('b')! }])
  return [transport, heard]
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((turn) => setTimeout(turn, 5))
}

const names = Object.keys(transports) as Adapters['transport'][]

test.each(names)(
  'what %s sends over TLS arrives late, in order and whole, and goes on after a reset',
  async (name) => {
    const [, b] = await start('b', name, { tls: true })
    const [transport, a] = await start('a', name, { tls: true })
    await until(() => a.up === 1 && b.up === 1)
    network.change([['a', 'b']], { delay: 2, jitter: 20, loss: 0.2, resend: 30 })
    const count = 300
    for (let n = 0; n < count; n++) {
      const frame = new Uint8Array(1024)
      new DataView(frame.buffer).setUint32(0, n)
      transport.send('b', [frame], 'bulk')
      if (n % 10 === 0) await new Promise((turn) => setImmediate(turn))
    }
    await until(() => b.frames.length === count)
    expect(b.frames).toEqual(Array.from({ length: count }, (_, n) => n))

    network.change([['a', 'b']], undefined)
    expect(network.reset([['a', 'b']])).toBeGreaterThan(0)
    await until(() => a.up === 2)
    transport.send('b', [new Uint8Array([0, 0, 9, 9])], 'bulk')
    await until(() => b.frames.at(-1) === 0x0909)
  },
  20_000,
)

test.each(names)(
  'who speaks %s without TLS is turned down',
  async (name) => {
    const [, b] = await start('b', name, { tls: true })
    const [, a] = await start('a', name, { tls: false })
    await until(() => a.refused.length > 0)
    expect([a.up, b.up]).toEqual([0, 0])
  },
  20_000,
)
