import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { bundle } from './bundle.ts'
import { closeAll, TestNode, until, wait } from './node.ts'
import * as world from './subject.ts'

afterEach(closeAll)

test('a process that stands still is found out by keepalive, and heard again when it goes on', async () => {
  const program = await bundle('child/node.ts')
  const a = await TestNode.start({ ...world, transport: world.create }, 'a')
  const b = fork(fileURLToPath(program.url), ['b', '127.0.0.1:0', 'a', a.peer.address!])
  const state = () => a.links.at(-1)
  try {
    const [at] = await once(b, 'message')
    a.transport.setPeers([{ id: 'b', address: String(at).slice(3) }])
    await until(() => state() === 'b up')
    b.kill('SIGSTOP')
    // It answers no keepalive; and new connections, which its kernel accepts, stay mute.
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
}, 60_000)
