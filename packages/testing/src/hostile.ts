import type { Socket } from 'node:net'
import type { Peer } from '@raftkit/contract'
import { expect } from 'vitest'
import { connect, TestNode, type World } from './node.ts'
import { impostor, tcp } from './strangers.ts'
import { until } from './until.ts'

/** Two nodes that talk all the while, and must not notice. `at`: where the first of them is. */
export async function undisturbed(world: World, attack: (a: TestNode, at: string) => Promise<void>): Promise<void> {
  const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
  await connect(a, b)
  let sent = 0
  const talk = setInterval(() => {
    a.send(b, `${sent}`)
    b.send(a, `${sent++}`, 'bulk')
  }, 1)
  await attack(a, a.peer.address!)
  clearInterval(talk)
  await until(() => a.heard.filter((h) => h.from === 'b').length === sent && b.heard.length === sent)
  expect(a.links.filter((link) => link.startsWith('b'))).toEqual(['b up'])
  expect(b.links).toEqual(['a up'])
}

/** Of ten connections to one transport of `world`, so many stay. */
export async function remain(count: number, world: World): Promise<void> {
  const a = await TestNode.start(world, 'a')
  const open = new Set<Socket>()
  for (let n = 0; n < 10; n++) {
    const socket = tcp(a.peer.address!)
    open.add(socket)
    socket.on('close', () => open.delete(socket)).resume()
  }
  await until(() => open.size === count)
}

/** A node tries peers that answer so, by their ids, more than six times each, and `more`; it takes none of them for one. */
export async function dialInVain(
  world: World,
  answers: Readonly<Record<string, (socket: Socket) => void>>,
  more: readonly Peer[] = [],
): Promise<void> {
  const a = await TestNode.start(world, 'a')
  const attempts = new Map<string, number>()
  const peers = Object.entries(answers).map(async ([id, answer]) => {
    const address = await impostor((socket) => {
      attempts.set(id, (attempts.get(id) ?? 0) + 1)
      answer(socket)
    })
    return { id, address }
  })
  a.transport.setPeers([...(await Promise.all(peers)), ...more])
  await until(() => Object.keys(answers).every((id) => attempts.get(id)! > 6))
  expect([a.links, a.heard]).toEqual([[], []])
}
