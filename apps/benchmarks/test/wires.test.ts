import { once } from 'node:events'
import { connect } from 'node:tls'
import { expect, test } from 'vitest'
import { kinds, wires } from '../src/transport/wires.ts'

test.each(kinds)('%s brings every message back', async (kind) => {
  const far = await wires[kind].answer()
  let heard = 0
  let all = () => {}
  const back = new Promise<void>((resolve) => {
    all = resolve
  })
  const near = await wires[kind].dial(far, (count) => {
    heard += count
    if (heard >= 300) all()
  })
  near.send(100)
  near.send(200)
  await back
  expect(heard).toBe(300)
  await near.close()
})

test.each(kinds.filter((kind) => /tls/i.test(kind)))('%s speaks TLS 1.3', async (kind) => {
  const { address, tls } = await wires[kind].answer()
  const [host, port] = address.split(':')
  const protocol = kind.includes('grpc') ? { ALPNProtocols: ['h2'] } : {}
  const socket = connect({ host: host!, port: Number(port), ...tls, ...protocol })
  await once(socket, 'secureConnect')
  expect(socket.getProtocol()).toBe('TLSv1.3')
  socket.destroy()
})
