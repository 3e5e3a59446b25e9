import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Lane } from '@raftkit/contract'
import type { Suite } from '../runner.ts'
import type { Party } from './party.ts'
import type { Promises, Stage } from './stage.ts'
import type { TransportSubject } from './subject.ts'

const chunkBytes = 65_536

/** Control never queues behind bulk; what waits for a peer is bounded in bytes; `full` and `up` tell of it. */
export function lanePromises(suite: Suite, it: Promises, subject: TransportSubject): void {
  it('a control frame overtakes a flood of bulk frames', async (stage) => {
    const [a, b] = [await stage.start('a'), await stage.start('b', { keeps: false })]
    // One dial: the flood shall not go where a second one is about to take over.
    a.setPeers(b)
    await stage.up(a, b)
    let before: number | undefined
    const hear = b.frame.bind(b)
    b.frame = (from, frame) => {
      hear(from, frame)
      if (frame.length < chunkBytes) before ??= b.heardCount - 1
    }
    for (let n = 0; n < 256; n++) a.send(b, [new Uint8Array(chunkBytes)], 'bulk')
    const vote = stage.noise(10)
    await stage.until(
      () => {
        if (before === undefined) a.send(b, [vote], 'control')
        return before !== undefined
      },
      () => 'the control frame arrives',
    )
    // What is in the buffers of a kernel cannot be overtaken; what waits in the process can.
    const chunks = await settledCount(stage, b)
    const most = Math.max(chunks / 2, 64)
    assert.ok(before! <= most, `${before} of ${chunks} bulk frames arrived before the control frame`)
  })

  const cases = [
    ['that was dialled', true],
    ['that dialled', false],
  ] as const
  for (const [which, dialled] of cases) {
    const bounded = `a peer ${which} and does not read costs bounded memory, is full, and up again once it has drained`
    if (!subject.wire) suite.skip(bounded, 'the subject has no wire')
    else
      it(bounded, async (stage) => {
        const { a, b, wire } = await stage.wired({ keeps: false })
        const [from, to] = dialled ? [a, b] : [b, a]
        wire.block()
        const before = await held(stage)
        await flood(stage, from, to, 'bulk')
        await stage.until(
          () => from.state(to) === 'full',
          () => `link says full while bulk frames are dropped; told were ${from.links.join(', ')}`,
        )
        await isBounded(stage, before)
        const heard = to.heardCount
        wire.unblock()
        await stage.until(
          () => from.state(to) === 'up',
          () => `link says up once the queue has drained; told were ${from.links.join(', ')}`,
        )
        await stage.until(
          () => to.heardCount > heard,
          () => 'what had been queued arrives',
        )
        await arrives(stage, from, to, 'bulk')
        assert.equal(to.state(from), 'up', 'the side that sent nothing is not concerned')
      })
  }

  const control = 'control frames for a peer that does not read cost bounded memory, and others get through later'
  if (!subject.wire) suite.skip(control, 'the subject has no wire')
  else
    it(control, async (stage) => {
      const { a, b, wire } = await stage.wired({ keeps: false })
      wire.block()
      const before = await held(stage)
      await flood(stage, a, b, 'control')
      await isBounded(stage, before)
      wire.unblock()
      await arrives(stage, a, b, 'control')
    })
}

/** More than may be held, in frames that share nothing. */
async function flood(stage: Stage, from: Party, to: Party, lane: Lane): Promise<void> {
  const turns = Math.ceil((3 * heldBytes(stage.subject)) / (32 * chunkBytes))
  for (let turn = 0; turn < turns; turn++) {
    for (let n = 0; n < 32; n++) from.send(to, [new Uint8Array(chunkBytes)], lane)
    await stage.wait(0)
  }
}

async function isBounded(stage: Stage, before: number): Promise<void> {
  const most = heldBytes(stage.subject)
  const now = (await held(stage)) - before
  const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`
  assert.ok(now <= most, `${mebibytes(now)} are held for a peer that does not read; the bound is ${mebibytes(most)}`)
}

/** A frame that was not sent before the peer read again. */
async function arrives(stage: Stage, from: Party, to: Party, lane: Lane): Promise<void> {
  const size = 77
  let arrived = false
  const hear = to.frame.bind(to)
  to.frame = (of, frame) => {
    hear(of, frame)
    if (frame.length === size) arrived = true
  }
  await stage.until(
    () => {
      if (!arrived) from.send(to, [stage.noise(size)], lane)
      return arrived
    },
    () => `a new ${lane} frame arrives`,
  )
}

/** How many were heard, once no more come. */
async function settledCount(stage: Stage, party: Party): Promise<number> {
  for (;;) {
    const count = party.heardCount
    await stage.wait(50)
    if (party.heardCount === count) return count
  }
}

const heldBytes = (subject: TransportSubject): number => subject.heldBytes ?? 64 * 2 ** 20

const collect = (() => {
  let collector: (() => void) | undefined
  return () => {
    if (!collector) {
      setFlagsFromString('--expose-gc')
      collector = runInNewContext('gc') as () => void
    }
    collector()
  }
})()

/** Bytes that this process cannot let go of. */
async function held(stage: Stage): Promise<number> {
  for (let n = 0; n < 4; n++) {
    collect()
    await stage.wait(10)
  }
  const { external, heapUsed } = process.memoryUsage()
  return external + heapUsed
}
