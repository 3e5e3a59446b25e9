import { createServer as createHttp } from 'node:http'
import { createServer as createHttp2, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { drive, fill, type Target } from '../src/cluster/load/drive.ts'
import { grpcWire } from '../src/cluster/wire/grpc.ts'
import { httpWire } from '../src/cluster/wire/http.ts'
import type { WirePlan } from '../src/cluster/wire/wire.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

async function listen(server: Server | Http2Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => server.close())
  return (server.address() as AddressInfo).port
}

const plan = (kind: WirePlan['kind'], port: number): WirePlan => ({
  kind,
  port,
  request: 'put',
  connections: 3,
  depth: 1,
  keys: 50,
  valueBytes: 256,
  inOrder: true,
})

const edges = { begin() {}, end() {} }

describe('the generator over gRPC', () => {
  /** As strict a server as there is: Node's own, by nghttp2. */
  async function server(answer: (stream: ServerHttp2Stream, body: Buffer) => void): Promise<number> {
    const server = createHttp2()
    server.on('stream', (stream, headers) => {
      expect(headers).toMatchObject({
        ':method': 'POST',
        ':path': '/etcdserverpb.KV/Put',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      const parts: Buffer[] = []
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('end', () => answer(stream, Buffer.concat(parts)))
    })
    return listen(server)
  }

  function succeed(stream: ServerHttp2Stream): void {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x0a, 0]))
  }

  it('sends every put once, as etcd reads it, on few connections', async () => {
    const keys: string[] = []
    const port = await server((stream, body) => {
      // A gRPC frame, then PutRequest { key = 1: 8 bytes, value = 2: 256 bytes }.
      expect(body.length).toBe(5 + body.readUInt32BE(1))
      expect(body.subarray(5, 7)).toEqual(Buffer.from([0x0a, 8]))
      expect(body.subarray(15, 18)).toEqual(Buffer.from([0x12, 0x80, 0x02]))
      expect(body.length).toBe(18 + 256)
      keys.push(body.toString('latin1', 7, 15))
      succeed(stream)
    })
    const wire = await grpcWire(plan('grpc', port))
    await fill(wire, 50, 20)
    wire.close()
    expect(keys.sort()).toEqual(Array.from({ length: 50 }, (_, at) => `k${String(at).padStart(7, '0')}`))
  })

  it('counts a call that ends without a message as failed', async () => {
    const port = await server((stream) => stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true }))
    const wire = await grpcWire(plan('grpc', port))
    await expect(fill(wire, 5, 1)).rejects.toThrow('failed')
    wire.close()
  })

  it('keeps to the window of the peer, however much is issued', async () => {
    let answered = 0
    const port = await server((stream) => {
      answered++
      succeed(stream)
    })
    const wire = await grpcWire({ ...plan('grpc', port), connections: 1 })
    // More than 65,535 bytes at once.
    await fill(wire, 900, 90 * 10)
    wire.close()
    expect(answered).toBe(900)
  })
})

describe('the generator over HTTP/1.1', () => {
  it('sends every put once, and tells success from failure', async () => {
    const seen: string[] = []
    const server = createHttp((request, response) => {
      let body = ''
      request.on('data', (part) => (body += part))
      request.on('end', () => {
        expect(request.method).toBe('PUT')
        expect((JSON.parse(body) as { value: string }).value).toHaveLength(256)
        seen.push(request.url!)
        response.writeHead(request.url!.endsWith('k0000007') ? 503 : 200, { 'content-length': '2' }).end('{}')
      })
    })
    const port = await listen(server)
    const wire = await httpWire(plan('http', port))
    const ended = new Map<boolean, number>([
      [true, 0],
      [false, 0],
    ])
    await new Promise<void>((resolve) => {
      let left = 50
      wire.finished = (_, succeeded) => {
        ended.set(succeeded, ended.get(succeeded)! + 1)
        if (--left === 0) resolve()
      }
      for (let slot = 0; slot < 50; slot++) wire.issue(slot)
    })
    wire.close()
    expect(ended).toEqual(
      new Map([
        [true, 49],
        [false, 1],
      ]),
    )
    expect(new Set(seen).size).toBe(50)
  })
})

describe('driving a load', () => {
  /** Ends each operation in a later turn. */
  function later(count: { now: number; most: number }): Target {
    const target: Target = {
      finished: () => {},
      issue(slot) {
        count.most = Math.max(count.most, ++count.now)
        setImmediate(() => {
          count.now--
          target.finished(slot, true)
        })
      },
    }
    return target
  }

  it('keeps so many outstanding, and waits for the last', async () => {
    const count = { now: 0, most: 0 }
    const sample = await drive(later(count), { outstanding: 7, warmUp: 0.01, seconds: 0.05 }, edges)
    expect(count).toEqual({ now: 0, most: 7 })
    expect(sample.done).toBeGreaterThan(0)
    expect(sample.total).toBeGreaterThanOrEqual(sample.done!)
    expect(sample.lost).toBe(0)
  })

  it('ends although every answer comes within its own turn', async () => {
    const target: Target = { finished: () => {}, issue: (slot) => queueMicrotask(() => target.finished(slot, true)) }
    const sample = await drive(target, { outstanding: 2, warmUp: 0, seconds: 0.02 }, edges)
    expect(sample.done).toBeGreaterThan(0)
  })

  it('begins as many as the rate says in an open loop, however late the answers are', async () => {
    let issued = 0
    const held: number[] = []
    const target: Target = {
      finished: () => {},
      issue(slot) {
        issued++
        held.push(slot)
      },
    }
    const running = drive(
      target,
      { outstanding: 1, rate: 1000, warmUp: 0, seconds: 0.1 },
      {
        begin() {},
        end() {
          // All at once, when the window closes.
          setTimeout(() => {
            for (const slot of held.splice(0)) target.finished(slot, true)
          }, 20)
        },
      },
    )
    const sample = await running
    expect(sample.done).toBe(0)
    expect(sample.total).toBe(issued)
    expect(issued).toBeGreaterThan(0)
    // From when each was due: the first waited for the whole window.
    expect(sample.maxUs).toBeGreaterThan(100_000)
  })

  it('counts what failed apart, and goes on', async () => {
    let number = 0
    const target: Target = {
      finished: () => {},
      issue: (slot) => setImmediate(() => target.finished(slot, number++ % 2 === 0)),
    }
    const sample = await drive(target, { outstanding: 2, warmUp: 0, seconds: 0.1 }, edges)
    expect(sample.total! + sample.lost!).toBe(number)
    expect(sample.lost).toBeGreaterThan(0)
  })
})
