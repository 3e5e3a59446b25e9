import type { Transport } from '@raftkit/contract'
import { grpcTransport } from '@raftkit/transport-grpc'
import { tcpTransport } from '@raftkit/transport-tcp'
import { wsTransport } from '@raftkit/transport-ws'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Bare, bare } from './admission/bare.ts'
import {
  type Case,
  cases,
  type Options,
  ofMember,
  ofStranger,
  type Protection,
  protections,
} from './admission/cases.ts'
import { Matrix } from './admission/matrix.ts'
import { helloOf, Stranger } from './admission/stranger.ts'
import { freeAddresses, strangerId, Trio } from './admission/trio.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

type Make = (options: Options & { readonly onReport: (report: { readonly reason: string }) => void }) => Transport
const transports: Readonly<Record<string, Make>> = { tcp: tcpTransport, grpc: grpcTransport, ws: wsTransport }

const matrix = new Matrix()
afterAll(() => console.log(`${matrix}`))

describe.each(Object.keys(transports))('over %s', (name) => {
  const make = transports[name]!

  describe.each(protections)('protected by %s', (protection) => {
    let trio: Trio
    beforeAll(async () => {
      const options = new Map<string, Options>()
      for (const id of ['n1', 'n2', 'n3']) options.set(id, await ofMember(id, protection))
      trio = await Trio.start((id, report) => make({ ...options.get(id)!, onReport: ({ reason }) => report(reason) }))
    })
    afterAll(() => trio?.close())

    test.each(cases.filter(({ where }) => where.includes(protection)))('$name', async (wrong) => {
      await refused(name, make, trio, protection, wrong, 'the stranger')
      if (!wrong.onlyDials) await refused(name, make, trio, protection, wrong, 'a member')
    })

    if (protection.includes('tls'))
      test('no certificate', async () => {
        await turnedAway(name, trio, protection, 'no certificate', 'beginsRightly', /it shows no certificate/)
      })

    test('a greeting of another version', async () => {
      const other = {
        tcp: /no greeting of a Raftkit node over TCP/,
        grpc: /The server does not implement the method .*v9/,
        ws: /the subprotocol \S+ was not asked for/,
      }[name]!
      await turnedAway(name, trio, protection, 'greeting of another version', 'beginsAsAnotherVersion', other)
    })

    // What the others prove, they prove by this: with nothing wrong, the same stranger gets in, and its frames are seen.
    test('nothing wrong: it is let in, both ways', async () => {
      const stranger = strangerOf(make, trio, ofStranger(protection))
      const [address] = (await freeAddresses(1)) as [string]
      await stranger.start(helloOf(trio), address)
      try {
        stranger.dials()
        // A frame may come before its link is up: that takes both lanes.
        const seen = () => ({ frames: trio.frames > 10, links: trio.links > 0, ofStranger: stranger.links > 0 })
        await vi.waitFor(() => expect(seen()).toEqual({ frames: true, links: true, ofStranger: true }), patience)
      } finally {
        await stranger.close()
      }
    })
  })
})

const patience = { timeout: 20_000, interval: 20 }

const strangerOf = (make: Make, trio: Trio, options: Options): Stranger =>
  new Stranger(trio, (report) => make({ ...options, onReport: ({ reason }) => report(reason) }))

/** As `refused`, by whoever speaks no transport of ours. */
async function turnedAway(
  transport: string,
  trio: Trio,
  protection: Protection,
  wrong: string,
  begins: keyof Bare,
  why: RegExp,
): Promise<void> {
  const { terms, leaders } = trio
  trio.heard.length = 0
  trio.frames = 0
  const { tls } = ofStranger(protection)
  const shown = tls && (begins === 'beginsRightly' ? { ca: tls.ca } : tls)
  const said = await bare[transport]![begins](trio.members.n1!, shown)
  expect(said).toMatch(why)
  // Of a method that does not exist, gRPC itself tells the caller, and us nothing.
  const here = said.includes('does not implement') ? '(nothing)' : trio.heard.find((text) => why.test(text))
  expect(here, trio.heard.join('\n')).toBeDefined()
  expect(await trio.serves()).toBe(true)
  expect([trio.frames, trio.terms, trio.leaders]).toEqual([0, terms, leaders])
  const there = why.exec(said)![0]
  matrix.add({ transport, protection, wrong, dialler: 'the stranger', here: here!, there })
}

/** Nothing of the stranger is read, both sides say why, the term stays, and the three serve. */
async function refused(
  transport: string,
  make: Make,
  trio: Trio,
  protection: Protection,
  wrong: Case,
  dialler: 'the stranger' | 'a member',
): Promise<void> {
  const right = ofStranger(protection)
  const stranger = strangerOf(make, trio, wrong.options?.(right) ?? right)
  const { terms, leaders } = trio
  const dials = dialler === 'the stranger'
  const here = (dials ? wrong.listenerSays : wrong.diallerSays) ?? wrong.why
  const there = (dials ? wrong.diallerSays : wrong.listenerSays) ?? wrong.why
  trio.heard.length = 0
  trio.frames = 0
  trio.links = 0
  const enough = new AbortController()
  let adding: Promise<unknown> | undefined
  const [address] = (await freeAddresses(1)) as [string]
  await stranger.start(wrong.hello?.(trio) ?? helloOf(trio), dials ? undefined : address)
  try {
    if (dials) stranger.dials()
    else {
      const added = trio.nodes[0]!.members.addLearner(strangerId, address, { signal: enough.signal })
      adding = expect(added).rejects.toMatchObject({ outcome: 'refused' })
    }
    const found = (texts: readonly string[], wanted: RegExp) => texts.find((text) => wanted.test(text))
    await vi
      .waitFor(() => {
        if (!found(trio.heard, here) || !found(stranger.heard, there)) throw new Error('not yet')
      }, patience)
      .catch(() => expect({ here: [...new Set(trio.heard)], there: stranger.heard }).toEqual({ here, there }))
    expect(await trio.serves()).toBe(true)
    expect({ frames: trio.frames, links: trio.links, ofStranger: stranger.links }).toEqual({
      frames: 0,
      links: 0,
      ofStranger: 0,
    })
    expect([trio.terms, trio.leaders]).toEqual([terms, leaders])
    matrix.add({
      ...{ transport, protection, wrong: wrong.name, dialler },
      here: found(trio.heard, here)!,
      there: found(stranger.heard, there)!,
    })
  } finally {
    enough.abort()
    await adding
    await stranger.close()
  }
}
