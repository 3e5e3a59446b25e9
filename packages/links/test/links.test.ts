import { Refusal, type TransportReport } from '@raftkit/links'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Host, Pipes, settle } from './pipes.ts'

let pipes: Pipes
const running: Host[] = []

/** Time passes when a test says so. Turns of the event loop are real. */
async function pass(ms: number): Promise<void> {
  for (let n = 0; n < ms; n += 10) {
    vi.advanceTimersByTime(10)
    await settle()
  }
}

async function host(id: string, options = {}): Promise<Host> {
  const started = await Host.start(id, pipes.transport(options))
  running.push(started)
  return started
}

/** a dials b. */
async function linked(options = {}): Promise<{ a: Host; b: Host }> {
  const [a, b] = [await host('a', options), await host('b', options)]
  a.transport.setPeers([b.peer])
  await pass(20)
  expect([a.links, b.links]).toEqual([['b up'], ['a up']])
  return { a, b }
}

beforeEach(() => {
  pipes = new Pipes()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
})

afterEach(async () => {
  const closing = running.splice(0).map(({ transport }) => transport.close())
  await pass(600)
  await Promise.all(closing)
  vi.useRealTimers()
})

describe('a link', () => {
  test('is a connection per lane, in whichever direction it came about, and up once both stand', async () => {
    const [a, b] = [await host('a'), await host('b')]
    let mute = true
    pipes.meddle = ({ lane }) => mute && lane === 'bulk'
    a.transport.setPeers([b.peer])
    await pass(100)
    expect([a.links, b.links, pipes.ends.length]).toEqual([[], [], 2])
    mute = false
    await pass(6000)
    expect([a.links, b.links, pipes.ends.length]).toEqual([['b up'], ['a up'], 4])
    b.say(a, 'hello', 'bulk')
    a.say(b, 'hello')
    await settle()
    expect([a.heard, b.heard]).toEqual([['b: hello'], ['a: hello']])
  })

  test('is full while its bulk connection alone is gone, and down when control is', async () => {
    const { a, b } = await linked()
    pipes.meddle = () => true
    pipes.standing('bulk')[0]!.connection!.destroy()
    await settle()
    pipes.standing('control')[0]!.connection!.destroy()
    await settle()
    expect(a.links).toEqual(['b up', 'b full', 'b down'])
    expect(b.links).toEqual(['a up', 'a full', 'a down'])
  })

  test('two dials that cross end with that of the smaller id, and no frame is lost over it', async () => {
    const [a, b] = [await host('a'), await host('b')]
    a.transport.setPeers([b.peer])
    b.transport.setPeers([a.peer])
    let said = 0
    vi.advanceTimersByTime(1)
    for (let n = 0; n < 300; n++) {
      if (a.links.length > 0 && b.links.length > 0) {
        a.say(b, `${said}`, 'bulk')
        b.say(a, `${said++}`, 'bulk')
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await settle()
    expect(pipes.ends.length).toBe(8)
    expect(b.heard).toEqual(Array.from({ length: said }, (_, n) => `a: ${n}`))
    expect(a.heard).toEqual(Array.from({ length: said }, (_, n) => `b: ${n}`))
    for (const lane of ['control', 'bulk'] as const) {
      const [only, ...others] = pipes.standing(lane)
      expect(others).toEqual([])
      expect(only!.connection!.caller.peer).toBe('b')
    }
    expect([a.links, b.links]).toEqual([['b up'], ['a up']])
  })

  test('who holds the connection that would win turns a second one of that life down, not one of the next', async () => {
    const { a, b } = await linked()
    const { maxFrameBytes } = a.transport
    const [nonce, proof] = [new Uint8Array(16), new Uint8Array(0)]
    const { life } = pipes.standing('bulk')[0]!.connection!.caller
    const ours = { hello: b.hello(), life, maxFrameBytes, nonce, proof }
    const at = (host: Host) => pipes.receptions.get(host.transport.address!)!
    expect(() => at(a).meet(ours, 'bulk').admit()).toThrow(expect.objectContaining({ kind: 'connected' }))
    expect(
      at(a)
        .meet({ ...ours, life: 'another' }, 'bulk')
        .admit().caller.peer,
    ).toBe('b')
    // Seen from b, which did not dial, a second one of a might win.
    const theirs = { ...ours, hello: a.hello(), life: pipes.standing('bulk')[0]!.other!.connection!.caller.life }
    expect(at(b).meet(theirs, 'bulk').admit().caller.peer).toBe('a')
  })

  test('a new life takes over from an old one, of whose end nobody has heard', async () => {
    const { a, b } = await linked()
    const again = await host('b')
    again.transport.setPeers([a.peer])
    await pass(100)
    a.say(b, 'who is there')
    await settle()
    expect([b.heard, again.heard]).toEqual([[], ['a: who is there']])
  })
})

describe('what is sent', () => {
  test('in one turn goes in one write, without a timer', async () => {
    const { a, b } = await linked()
    for (let n = 0; n < 100; n++) a.say(b, `${n}`, 'bulk')
    await settle()
    for (let n = 0; n < 10; n++) a.say(b, `${n}`, 'bulk')
    await settle()
    expect(pipes.standing('bulk')[0]!.batches.map(({ frames }) => frames.length)).toEqual([100, 10])
    expect(b.heard.length).toBe(110)
  })

  test('beyond what a connection takes, waits; beyond the queue, is dropped: full, and up at half of it', async () => {
    const queueBytes = 1024 * 1024
    const { a, b } = await linked({ maxFrameBytes: 65_536, queueBytes })
    const bulk = pipes.standing('bulk')[0]!
    bulk.blocked = true
    for (let n = 0; n < 100; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
    await settle()
    for (let n = 0; n < 100; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
    await settle()
    expect(a.links).toEqual(['b up', 'b full'])
    const written = bulk.batches.reduce((sum, { bytes }) => sum + bytes, 0)
    expect(written).toBeLessThanOrEqual(512 * 1024 + 256 * 1024)
    a.say(b, 'vote')
    await settle()
    expect(b.heard).toEqual(['a: vote'])
    bulk.unblock()
    await pass(100)
    expect(a.links).toEqual(['b up', 'b full', 'b up'])
    const arrived = b.heard.length - 1
    expect(arrived * 65_536).toBeGreaterThanOrEqual(queueBytes - 65_536)
    expect(arrived * 65_536).toBeLessThanOrEqual(queueBytes + written)
  })

  test('on the control lane, drops the oldest for the newest', async () => {
    const { a, b } = await linked({ maxFrameBytes: 65_536, queueBytes: 131_072 })
    const control = pipes.standing('control')[0]!
    control.blocked = true
    for (let n = 0; n < 100; n++) {
      a.transport.send('b', [new Uint8Array(60_000)], 'control')
      await settle()
    }
    a.transport.send('b', [new Uint8Array(60_001)], 'control')
    control.unblock()
    await pass(100)
    expect(b.heard.at(-1)).toBe('a: 60001 B')
    expect(b.heard.length).toBeLessThan(20)
    expect(a.links).toEqual(['b up'])
  })

  test('many empty frames are bounded, too', async () => {
    const { a } = await linked({ maxFrameBytes: 65_536, queueBytes: 131_072 })
    const bulk = pipes.standing('bulk')[0]!
    bulk.blocked = true
    for (let turn = 0; turn < 20; turn++) {
      for (let n = 0; n < 5000; n++) a.transport.send('b', [], 'bulk')
      await settle()
    }
    expect(a.links).toEqual(['b up', 'b full'])
    expect(bulk.batches.reduce((sum, { frames }) => sum + frames.length, 0)).toBeLessThan(20_000)
  })

  test('before close still goes, and nothing after', async () => {
    const { a, b } = await linked()
    a.say(b, 'farewell')
    const closed = a.transport.close()
    a.say(b, 'too late')
    await pass(100)
    await closed
    expect(b.heard).toEqual(['a: farewell'])
    expect(b.links).toEqual(['a up', 'a down'])
  })
})

describe('who is dialled', () => {
  test('and not there is tried again, more and more seldom, at least every second', async () => {
    const a = await host('a')
    a.transport.setPeers([{ id: 'b', address: '127.0.0.1:1' }])
    await pass(1000)
    const first = pipes.attempts.length
    await pass(10_000)
    const later = pipes.attempts.length - first
    // Two lanes. 50 to 100 ms, 100 to 200, 200 to 400 …, then 500 to 1000.
    expect(first).toBeGreaterThanOrEqual(6)
    expect(first).toBeLessThanOrEqual(12)
    expect(later).toBeGreaterThanOrEqual(18)
    expect(later).toBeLessThanOrEqual(42)
    expect(pipes.givenUp).toBe(pipes.attempts.length)
  })

  test('and mute is given up after 5 seconds; what comes of it later is not used', async () => {
    const [a, b] = [await host('a'), await host('b')]
    pipes.meddle = () => true
    a.transport.setPeers([b.peer])
    await pass(4900)
    expect([pipes.attempts.length, pipes.givenUp]).toEqual([2, 0])
    await pass(300)
    expect(pipes.givenUp).toBe(2)
    expect(pipes.attempts.slice(0, 2).every(({ over }) => over)).toBe(true)
  })

  test('and answers under another name is turned down', async () => {
    const reports: TransportReport[] = []
    const [a, c] = [await host('a', { onReport: (report: TransportReport) => reports.push(report) }), await host('c')]
    a.transport.setPeers([{ id: 'b', address: c.peer.address }])
    await pass(3000)
    expect([a.links, c.links]).toEqual([[], []])
    expect(reports).toEqual([
      { kind: 'refused', remote: c.peer.address, peer: 'b', reason: 'b is expected there, but c answers' },
    ])
  })

  test('fails at once, or throws: that attempt is over, given up, told of once, and made again', async () => {
    for (const meddle of [
      () => {
        throw new Error('no such host')
      },
      (attempt: Parameters<Pipes['meddle']>[0]) => {
        attempt.failed('unreachable', 'no such host')
        return true
      },
    ]) {
      pipes = new Pipes()
      pipes.meddle = meddle
      const reports: string[] = []
      const a = await host('a', { onReport: ({ kind, reason }: TransportReport) => reports.push(`${kind}: ${reason}`) })
      a.transport.setPeers([{ id: 'b', address: '127.0.0.1:1' }])
      await pass(1000)
      expect(reports).toEqual(['unreachable: no such host'])
      // What threw left nothing to give up.
      expect([0, pipes.attempts.length]).toContain(pipes.givenUp)
      expect(pipes.givenUp > 0).toBe(reports.length > 0 && meddle.length > 0)
      expect(pipes.attempts.length).toBeGreaterThanOrEqual(6)
      a.transport.setPeers([])
    }
  })

  test('no more, once it is not named: a dial under way is given up, a link that we dialled dropped', async () => {
    const { a, b } = await linked()
    a.transport.setPeers([])
    await pass(10)
    expect([a.links.at(-1), b.links.at(-1)]).toEqual(['b down', 'a down'])
    pipes.meddle = () => true
    a.transport.setPeers([b.peer])
    await pass(10)
    const before = pipes.givenUp
    a.transport.setPeers([])
    expect(pipes.givenUp).toBe(before + 2)
    const attempts = pipes.attempts.length
    await pass(6000)
    expect(pipes.attempts.length).toBe(attempts)
  })
})

describe('what goes wrong', () => {
  test('a peer whose bytes are no frames is told of, cut, and dialled again', async () => {
    const reports: TransportReport[] = []
    const { a, b } = await linked({ onReport: (report: TransportReport) => reports.push(report) })
    pipes.standing('control')[0]!.connection!.malformed('no frames')
    await settle()
    expect(reports).toMatchObject([{ kind: 'malformed', peer: 'b', reason: 'no frames' }])
    expect(a.links).toEqual(['b up', 'b down'])
    await pass(1000)
    expect([a.links.at(-1), b.links.at(-1)]).toEqual(['b up', 'a up'])
  })

  test('a frame that the node cannot read is told of once; its connection is cut, with what came behind it, and dialled again', async () => {
    const reports: TransportReport[] = []
    const { a, b } = await linked({ onReport: (report: TransportReport) => reports.push(report) })
    b.reading = false
    for (const text of ['unreadable', 'behind it']) a.say(b, text)
    await settle()
    b.reading = true
    expect(b.heard).toEqual(['a: unreadable'])
    expect(b.links).toEqual(['a up', 'a down'])
    await pass(1000)
    expect([a.links.at(-1), b.links.at(-1)]).toEqual(['b up', 'a up'])
    expect(reports.filter(({ kind }) => kind === 'malformed')).toMatchObject([{ peer: 'a' }])
    expect(b.transport.counters.malformed).toBe(1)
    a.say(b, 'readable')
    await settle()
    expect(b.heard).toEqual(['a: unreadable', 'a: readable'])
  })

  test('a peer of which no frame can be read is told of once, and dialled more and more seldom', async () => {
    const reports: TransportReport[] = []
    const { a, b } = await linked({ onReport: (report: TransportReport) => reports.push(report) })
    b.reading = false
    const before = pipes.attempts.length
    for (let at = 0; at < 10_000; at += 20) {
      a.say(b, 'unreadable')
      await pass(20)
    }
    // Of one lane: five at most until it waits for half a second or more each time.
    expect(pipes.attempts.length - before).toBeGreaterThanOrEqual(10)
    expect(pipes.attempts.length - before).toBeLessThanOrEqual(25)
    expect(reports.filter(({ kind }) => kind === 'malformed')).toMatchObject([{ peer: 'a' }])
    b.reading = true
    await pass(1100)
    expect(a.links.at(-1)).toBe('b up')
  })

  test('strangers can make a node count, but not fill its log', async () => {
    const reports: TransportReport[] = []
    const a = await host('a', { onReport: (report: TransportReport) => reports.push(report) })
    const reception = pipes.receptions.get(a.transport.address!)!
    for (let n = 0; n < 1000; n++) reception.refused(`10.0.0.1:${n}`, new Refusal('refused', `cause ${n}`))
    // A minute may end in between.
    expect([60, 120]).toContain(reports.length)
    expect(a.transport.counters).toEqual({ unreachable: 0, refused: 1000, malformed: 0, insecure: 0 })
  })

  test('a refusal is told of once per cause, and again after it was admitted', async () => {
    const reports: string[] = []
    const { a, b } = await linked({
      onReport: ({ kind, peer }: TransportReport) => reports.push(`${peer ?? 'a stranger'} ${kind}`),
    })
    for (let round = 1; round <= 2; round++) {
      b.admitting = false
      pipes.standing('control')[0]!.connection!.destroy()
      await pass(3000)
      expect(reports.filter((report) => report === 'b refused').length).toBe(round)
      b.admitting = true
      await pass(1100)
      expect(a.links.at(-1)).toBe('b up')
    }
  })

  test('a hello that is larger than any may be is not said', async () => {
    const reports: TransportReport[] = []
    const [a, b] = [await host('a', { onReport: (report: TransportReport) => reports.push(report) }), await host('b')]
    a.hello = () => new Uint8Array(8001)
    a.transport.setPeers([b.peer])
    await pass(100)
    expect(a.links).toEqual([])
    expect(reports[0]?.reason).toContain('more than a hello may hold')
  })
})
