import { once } from 'node:events'
import { fstat, openSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { Latency, rates, timed } from '../harness/timed.ts'

type Trip = () => Promise<void>

/** Each makes the way there and back once per call. */
const ways = {
  async 'loopback round trip, 32 B'({ start }: CaseContext): Promise<Trip> {
    const helper = start('echo', null)
    const socket = connect((await helper.next()) as number, '127.0.0.1').setNoDelay(true)
    await once(socket, 'connect')
    const bytes = Buffer.alloc(32, 'raftkit')
    return () =>
      new Promise((resolve) => {
        let back = 0
        const hear = (chunk: Buffer) => {
          back += chunk.length
          if (back < bytes.length) return
          socket.off('data', hear)
          resolve()
        }
        socket.on('data', hear)
        socket.write(bytes)
      })
  },

  async 'thread pool, callback'(): Promise<Trip> {
    const fd = openSync('/dev/null', 'r')
    return () => new Promise((resolve) => fstat(fd, () => resolve()))
  },

  async 'thread pool, promise'(): Promise<Trip> {
    const handle = await open('/dev/null', 'r')
    return async () => void (await handle.stat())
  },

  async 'worker, message'(): Promise<Trip> {
    const worker = new Worker(
      `require('node:worker_threads').parentPort.on('message', function (m) { this.postMessage(m) })`,
      {
        eval: true,
      },
    )
    await once(worker, 'online')
    return () =>
      new Promise((resolve) => {
        worker.once('message', () => resolve())
        worker.postMessage(1)
      })
  },

  async 'worker, shared memory'(): Promise<Trip> {
    const flags = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(
      `const { workerData: flags } = require('node:worker_threads')
       for (let turn = 0; ; turn++) {
         Atomics.wait(flags, 0, turn)
         Atomics.store(flags, 1, turn + 1)
         Atomics.notify(flags, 1)
       }`,
      { eval: true, workerData: flags },
    )
    await once(worker, 'online')
    let turn = 0
    return async () => {
      const back = Atomics.waitAsync(flags, 1, turn)
      Atomics.store(flags, 0, ++turn)
      Atomics.notify(flags, 0)
      if (back.async) await back.value
    }
  },

  async 'system call (1 B to the null device)'(): Promise<Trip> {
    const fd = openSync('/dev/null', 'w')
    const byte = Buffer.alloc(1)
    const done = Promise.resolve()
    return () => {
      writeSync(fd, byte)
      return done
    }
  },
} satisfies Record<string, (context: CaseContext) => Promise<Trip>>

export type Way = keyof typeof ways
export const handOvers: readonly Way[] = Object.keys(ways) as Way[]

export async function handOver({ way }: { way: Way }, context: CaseContext): Promise<Sample> {
  const trip = await ways[way](context)
  const latency = new Latency()
  const found = await timed(
    context,
    async () => {
      const began = performance.now()
      await trip()
      latency.record(performance.now() - began)
      return 1
    },
    () => latency.reset(),
  )
  return { ...rates(found), ...latency.percentiles() }
}

/** The far end of the loopback. */
export async function echo(_: null, context: CaseContext): Promise<Sample> {
  const server = createServer({ noDelay: true }, (socket) => socket.on('error', () => {}).pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.tell((server.address() as { port: number }).port)
  return new Promise(() => {})
}
