import { once } from 'node:events'
import { expect } from 'vitest'
import { closeAll, connect, TestNode, up, type World } from './node.ts'
import { startNode } from './process.ts'
import { bundle } from './program.ts'
import { Relay } from './relay.ts'
import { until, wait } from './until.ts'

// What links over TCP connections keep to, whatever is spoken on them. One promise each.

/** Ends of TCP connections in this process; each connection has both of them here. */
const ends = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length
/** Control and bulk apart. */
const endsPerPair = 4

const endsAre = (count: number): Promise<void> =>
  until(
    () => ends() === count,
    () => `${ends()} ends`,
  )

/** Twenty times three nodes: two connections a pair, whoever dialled, and none once closed. */
export async function holdTwoConnections(world: World): Promise<void> {
  await endsAre(0)
  for (let round = 0; round < 20; round++) {
    const nodes = await Promise.all(['a', 'b', 'c'].map((id) => TestNode.start(world, id)))
    await connect(...nodes)
    await endsAre(3 * endsPerPair)
    // No flapping while two dials are settled.
    for (const { id, links } of nodes) expect(links.length, `${id}: ${links.join(', ')}`).toBe(2)
    await closeAll()
    await endsAre(0)
  }
}

/** Attempts that fail. */
export async function leaveNothingBehind(world: World): Promise<void> {
  const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
  b.admitting = false
  a.transport.setPeers([b.peer, { id: 'c', address: '127.0.0.1:1' }])
  await until(() => b.refusals >= 10)
  a.transport.setPeers([])
  await endsAre(0)
}

export interface Relayed {
  readonly a: TestNode
  readonly b: TestNode
  readonly relay: Relay
}

const relays: Relay[] = []

/** a dials b through a relay, which `closeRelayed` closes. */
export async function relayed(world: World): Promise<Relayed> {
  const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
  const relay = new Relay(b.peer.address!)
  relays.push(relay)
  a.transport.setPeers([{ id: 'b', address: await relay.listen() }])
  await up(a, b)
  return { a, b, relay }
}

export async function closeRelayed(): Promise<void> {
  await closeAll()
  for (const relay of relays.splice(0)) relay.close()
}

/** `ms`: longer than any silence that is tolerated. */
export async function standIdle({ a, b }: Relayed, ms: number): Promise<void> {
  await wait(ms)
  expect([a.links, b.links]).toEqual([['b up'], ['a up']])
  a.send(b, 'after')
  await until(() => b.texts.at(-1) === 'after')
}

export async function replaceWhatIsHalfOpen({ a, b, relay }: Relayed): Promise<void> {
  // Nothing is closed; nothing gets through any more.
  for (const socket of relay.pairs.flat()) socket.removeAllListeners('data').pause()
  await until(() => a.state(b) === 'down' && b.state(a) === 'down')
  await up(a, b)
  a.send(b, 'after')
  await until(() => b.texts.at(-1) === 'after')
}

export async function passControlWhileBulkIsBlocked({ a, b, relay }: Relayed): Promise<void> {
  // The bulk connection is the one that much has gone through.
  for (let n = 0; n < 64; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
  await until(() => b.heard.length === 64)
  const bulk = [...relay.pairs].sort((x, y) => y[0].bytesRead - x[0].bytesRead)[0]!
  for (const socket of bulk) socket.pause()
  for (let n = 0; n < 512; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
  a.send(b, 'vote')
  await until(() => b.texts.at(-1) === 'vote')
  for (const socket of bulk) socket.resume()
}

export async function deliverBeforeTheyClose({ a, b }: Relayed): Promise<void> {
  for (let n = 0; n < 50; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
  a.send(b, 'farewell')
  await a.transport.close()
  await until(() => b.heard.length === 51)
}

/** `subject`: a module that makes such a transport by `create`; `external`: what it needs and is not of this workspace. */
export async function missWhatStandsStill(world: World, subject: URL, external: readonly string[] = []): Promise<void> {
  const program = await bundle(subject, { external })
  const a = await TestNode.start(world, 'a')
  const b = startNode(program.path, 'b', a.peer)
  const state = () => a.links.at(-1)
  try {
    const [at] = await once(b, 'message')
    a.transport.setPeers([{ id: 'b', address: String(at) }])
    await until(() => state() === 'b up')
    b.kill('SIGSTOP')
    // It gives no sign of life; and new connections, which its kernel accepts, stay mute.
    await until(() => state() === 'b down')
    await wait(1000)
    b.kill('SIGCONT')
    await until(() => state() === 'b up')
    const before = a.heard.length
    await until(() => {
      a.transport.send('b', [new Uint8Array(5)], 'control')
      return a.heard.length > before
    })
    expect(a.texts.at(-1)).toContain(String(b.pid))
  } finally {
    b.kill('SIGKILL')
    await program.remove()
  }
}
