import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type GrpcTransport, grpcTransport } from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, TestNode, until, type World, wait } from './node.ts'

const world: World = {
  transport: () => grpcTransport(),
  address: () => '127.0.0.1:0',
  reached: (transport) => (transport as GrpcTransport).address!,
}

/** b, in a process of its own. */
class Child {
  readonly said: string[] = []
  readonly process: ChildProcess

  constructor(address: string, peer: { id: string; address?: string }) {
    const program = fileURLToPath(new URL('child/node.ts', import.meta.url))
    const loader = new URL('child/register.mjs', import.meta.url).href
    this.process = fork(program, ['b', address, peer.id, peer.address ?? ''], { execArgv: ['--import', loader] })
    this.process.on('message', (message) => this.said.push(String(message)))
    children.add(this)
  }

  async address(): Promise<string> {
    await until(() => this.said.some((line) => line.startsWith('at ')))
    return this.said.find((line) => line.startsWith('at '))!.slice(3)
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit')
  }
}

const children = new Set<Child>()

describe('two processes', { timeout: 60_000 }, () => {
  afterEach(async () => {
    await closeAll()
    await Promise.all([...children].map((child) => child.kill()))
    children.clear()
  })

  test.each([
    ['both dial', true, true],
    ['the survivor dials', true, false],
    ['the victim dials', false, true],
  ])('one is killed and comes back at its address, again and again: %s', async (_, survivorDials, victimDials) => {
    const a = await TestNode.start(world, 'a')
    const peer = victimDials ? a.peer : { id: 'a' }
    let b = new Child('127.0.0.1:0', peer)
    const address = await b.address()
    if (survivorDials) a.transport.setPeers([{ id: 'b', address }])
    const state = () => a.links.at(-1)
    const talk = setInterval(() => {
      a.transport.send('b', [new Uint8Array(2000)], 'bulk')
      a.transport.send('b', [new TextEncoder().encode('x')], 'control')
    }, 2)
    for (let life = 0; life < 2; life++) {
      await until(() => state() === 'b up' && a.texts.some((text) => text.startsWith(`${b.process.pid} `)))
      await b.kill()
      await until(() => state() === 'b down')
      b = new Child(address, peer)
    }
    await until(() => state() === 'b up')
    clearInterval(talk)
  })

  test('one that stands still costs the other nothing, and is heard again when it goes on', async () => {
    const a = await TestNode.start(world, 'a')
    const b = new Child('127.0.0.1:0', a.peer)
    a.transport.setPeers([{ id: 'b', address: await b.address() }])
    await until(() => a.links.at(-1) === 'b up')
    b.process.kill('SIGSTOP')
    // It answers no keepalive; and new connections, which its kernel accepts, stay mute.
    await until(() => a.links.at(-1) === 'b down')
    await wait(1000)
    b.process.kill('SIGCONT')
    await until(() => a.links.at(-1) === 'b up')
    const before = a.heard.length
    await until(() => {
      a.transport.send('b', [new Uint8Array(5)], 'control')
      return a.heard.length > before
    })
  })

  test('after close, nothing keeps the process alive, even with an unreachable and a mute peer', async () => {
    const mute = await TestNode.start(world, 'a')
    const stopped = new Child('127.0.0.1:0', { id: 'nobody' })
    const address = await stopped.address()
    stopped.process.kill('SIGSTOP')
    for (const peer of [mute.peer, { id: 'a', address }, { id: 'a', address: '127.0.0.1:1' }]) {
      const b = new Child('127.0.0.1:0', peer)
      await b.address()
      if (peer === mute.peer) await until(() => mute.links.at(-1) === 'b up')
      await wait(100)
      b.process.send('close')
      const [code] = await once(b.process, 'exit')
      expect(code).toBe(0)
    }
  })
})
