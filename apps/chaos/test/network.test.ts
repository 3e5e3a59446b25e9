import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Network } from '../src/network/network.ts'
import { Random } from '../src/random.ts'

let server: Server
let network: Network
let accepted: Socket[]
let heard: string

beforeEach(async () => {
  accepted = []
  heard = ''
  server = createServer((socket) => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      heard += data
      socket.write(`echo ${data}`)
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  network = new Network(
    new Map([
      ['a', '127.0.0.1:1'],
      ['b', address],
    ]),
    new Random(1),
  )
  await network.open()
})
afterEach(async () => {
  await network.close()
  for (const socket of accepted) socket.destroy()
  server.close()
})

function dial(): Socket {
  const socket = connect(Number(network.routes('a').b!.split(':')[1]), '127.0.0.1')
  socket.on('error', () => {})
  return socket.setEncoding('utf8')
}

test('a way that is held delivers nothing, the other one goes on, and what was sent comes once it is fair again', async () => {
  const socket = dial()
  network.change([['b', 'a']], { held: true })
  let answer = ''
  socket.on('data', (text) => {
    answer += text
  })
  socket.write('hello')
  while (heard !== 'hello') await new Promise((turn) => setImmediate(turn))
  expect(answer).toBe('')
  network.change([['b', 'a']], undefined)
  while (answer !== 'echo hello') await new Promise((turn) => setImmediate(turn))
  socket.destroy()
})

test('bytes keep their order through delay and loss', async () => {
  network.change([['a', 'b']], { delay: 2, jitter: 5, loss: 0.5, resend: 10 })
  const socket = dial()
  let sent = ''
  for (let at = 0; at < 50; at++) {
    sent += `${at};`
    socket.write(`${at};`)
    await new Promise((turn) => setImmediate(turn))
  }
  while (heard.length < sent.length) await new Promise((turn) => setTimeout(turn, 5))
  expect(heard).toBe(sent)
  socket.destroy()
})

test('a pair that is cut loses its connections and gets none until it is mended', async () => {
  const first = dial()
  first.write('x')
  await once(first, 'data')
  network.cut([['a', 'b']])
  await once(first, 'close')
  const second = dial()
  await once(second, 'close')
  network.mend([['a', 'b']])
  const third = dial()
  third.write('y')
  expect(await once(third, 'data')).toEqual(['echo y'])
  third.destroy()
})
