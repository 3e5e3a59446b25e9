import { TestNode } from '@raftkit/testing/node'
import { type Filter, type MemoryNetwork, memoryNetwork, type Scheduler, type Weather } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'

/** Time that passes only when told to, as a simulator has it. */
class VirtualTime implements Scheduler {
  #now = 0
  #order = 0
  readonly #due: { time: number; order: number; run: () => void }[] = []

  now(): number {
    return this.#now
  }

  at(time: number, run: () => void): () => void {
    const entry = { time: Math.max(time, this.#now), order: this.#order++, run }
    this.#due.push(entry)
    return () => {
      const place = this.#due.indexOf(entry)
      if (place >= 0) this.#due.splice(place, 1)
    }
  }

  soon(run: () => void): void {
    this.at(this.#now, run)
  }

  pass(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      this.#due.sort((a, b) => a.time - b.time || a.order - b.order)
      if (!this.#due[0] || this.#due[0].time > end) break
      const { time, run } = this.#due.shift()!
      this.#now = time
      run()
    }
    this.#now = end
  }
}

/** It is found by the address at which it was started. */
const start = (network: MemoryNetwork, id: string) =>
  TestNode.start({ transport: () => network.transport(), reached: (_, address) => address }, id, {
    address: `at ${id}`,
  })

/** Nodes a, b, c … in virtual time, all connected. */
async function cluster(size: number, options: { seed?: number; queueBytes?: number } = {}) {
  const time = new VirtualTime()
  const network = memoryNetwork({ queueBytes: 2 ** 24, ...options, scheduler: time, maxFrameBytes: 65_536 })
  const nodes: TestNode[] = []
  for (const id of 'abcde'.slice(0, size)) nodes.push(await start(network, id))
  for (const node of nodes) node.transport.setPeers(nodes.map(({ peer }) => peer))
  time.pass(100)
  const [a, b, c] = nodes as [TestNode, TestNode, TestNode]
  return { time, network, nodes, a, b, c }
}

describe('faults that can be switched', { timeout: 60_000 }, () => {
  test('a cut takes frames one way, those on their way as well, and breaks no link', async () => {
    const { time, network, a, b } = await cluster(2)
    network.weather({ delay: 10 })
    a.send(b, 'on its way')
    time.pass(5)
    network.cut('a', 'b')
    a.send(b, 'lost')
    b.send(a, 'heard')
    time.pass(1000)
    expect(b.texts).toEqual([])
    expect(a.texts).toEqual(['heard'])
    expect([...a.links, ...b.links]).toEqual(['b up', 'a up'])
    network.heal()
    a.send(b, 'again')
    time.pass(10)
    expect(b.texts).toEqual(['again'])
  })

  test('a cut both ways breaks the link; healed, both say hello again before anything passes', async () => {
    const { time, network, a, b } = await cluster(2)
    network.cut('a', 'b')
    network.cut('b', 'a')
    time.pass(500)
    a.send(b, 'lost')
    expect([a.state(b), b.state(a)]).toEqual(['down', 'down'])
    expect([a.admitted.length, b.admitted.length]).toEqual([1, 1])
    network.heal()
    time.pass(100)
    expect([a.state(b), b.state(a)]).toEqual(['up', 'up'])
    expect([a.admitted.length, b.admitted.length]).toEqual([2, 2])
    expect(b.texts).toEqual([])
  })

  test('a frame that its receiver cannot read breaks the link; both say hello again before anything passes', async () => {
    const { time, a, b } = await cluster(2)
    b.reading = false
    a.send(b, 'unreadable')
    a.send(b, 'behind it')
    time.pass(10)
    b.reading = true
    time.pass(500)
    expect(b.texts).toEqual(['unreadable'])
    expect([a.admitted.length, b.admitted.length]).toEqual([2, 2])
    expect([a.state(b), b.state(a)]).toEqual(['up', 'up'])
  })

  test('while one way is cut, nobody can connect', async () => {
    const { time, network, a, b } = await cluster(2)
    network.isolate('b')
    time.pass(100)
    network.heal()
    network.cut('b', 'a')
    time.pass(1000)
    expect([a.state(b), b.state(a)]).toEqual(['down', 'down'])
    network.heal()
    time.pass(100)
    expect([a.state(b), b.state(a)]).toEqual(['up', 'up'])
  })

  test('a partition lets through only within groups; those not named are a group of their own', async () => {
    const { time, network, nodes } = await cluster(5)
    network.partition([['a', 'b'], ['c']])
    time.pass(100)
    for (const from of nodes) for (const to of nodes) if (from !== to) from.send(to, from.id)
    time.pass(100)
    expect(nodes.map(({ texts }) => texts)).toEqual([['b'], ['a'], [], ['e'], ['d']])
    network.partition([['c', 'd', 'e']])
    time.pass(100)
    for (const from of nodes) for (const to of nodes) if (from !== to) from.send(to, from.id)
    time.pass(100)
    expect(nodes.map(({ texts }) => texts.slice(1).join(''))).toEqual(['b', 'a', 'e', 'ce', 'cd'])
    expect(nodes[2]!.texts.join('')).toBe('de')
  })

  test('an isolated node hears nobody, and nobody hears it', async () => {
    const { time, network, a, b, c } = await cluster(3)
    network.isolate('b')
    time.pass(100)
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, c],
    ] as const)
      from.send(to, 'x')
    time.pass(100)
    expect([a.texts, b.texts, c.texts]).toEqual([[], [], ['x']])
    expect([b.state(a), b.state(c), a.state(c)]).toEqual(['down', 'down', 'up'])
  })

  test('loss and duplication hit about as many frames as asked for', async () => {
    const { time, network, a, b } = await cluster(2)
    network.weather({ loss: 0.3, duplicate: 0.2 })
    for (let n = 0; n < 5000; n++) a.send(b, String(n))
    time.pass(1)
    const heard = new Map<string, number>()
    for (const text of b.texts) heard.set(text, (heard.get(text) ?? 0) + 1)
    const twice = [...heard.values()].filter((times) => times === 2).length
    expect(heard.size / 5000).toBeCloseTo(0.7, 1)
    expect(twice / heard.size).toBeCloseTo(0.2, 1)
    expect(new Set(heard.values())).toEqual(new Set([1, 2]))
  })

  test('a duplicate is a copy of its own', async () => {
    const { time, network, a, b } = await cluster(2)
    network.weather({ duplicate: 1 })
    a.send(b, 'twice')
    time.pass(1)
    b.heard[0]!.frame.fill(0)
    expect(b.texts[1]).toBe('twice')
  })

  test('a range of delays keeps the order; reordering does not, and loses nothing', async () => {
    const { time, network, a, b } = await cluster(2)
    network.weather({ delay: [5, 50] })
    const all = Array.from({ length: 200 }, (_, n) => String(n))
    for (const text of all) a.send(b, text)
    time.pass(4)
    expect(b.texts).toEqual([])
    time.pass(46)
    expect(b.texts).toEqual(all)
    network.weather({ reorder: 0.2 })
    for (const text of all) a.send(b, text)
    time.pass(50)
    const second = b.texts.slice(200)
    expect(second).not.toEqual(all)
    expect([...second].sort()).toEqual([...all].sort())
  })

  test('the same seed gives the same faults, another seed gives others', async () => {
    const history = async (seed: number) => {
      const { time, network, nodes } = await cluster(3, { seed })
      network.weather({ loss: 0.1, duplicate: 0.1, reorder: 0.1, delay: [1, 20] })
      for (let turn = 0; turn < 50; turn++) {
        for (const from of nodes)
          for (const to of nodes) from.send(to, `${from.id}${turn}`, turn % 2 ? 'bulk' : 'control')
        if (turn === 20) network.isolate('b')
        if (turn === 30) network.heal()
        time.pass(7)
      }
      return nodes.map(({ texts, links }) => [texts, links])
    }
    expect(await history(7)).toEqual(await history(7))
    expect(await history(7)).not.toEqual(await history(8))
  })

  test('a filter drops and holds particular frames; what is held keeps its place', async () => {
    const { time, network, a, b } = await cluster(2)
    const seen: unknown[] = []
    const filter: Filter = (from, to, frame, lane) => {
      const text = new TextDecoder().decode(frame)
      seen.push([from, to, text, lane])
      return text === 'drop' ? 'drop' : text === 'hold' ? 'hold' : 'pass'
    }
    network.filter(filter)
    for (const text of ['first', 'drop', 'hold', 'last']) a.send(b, text)
    a.send(b, 'other lane', 'bulk')
    time.pass(100)
    expect(seen).toContainEqual(['a', 'b', 'drop', 'control'])
    expect(b.texts).toEqual(['first', 'other lane'])
    network.release()
    time.pass(100)
    expect(b.texts).toEqual(['first', 'other lane', 'hold', 'last'])
    network.filter()
    a.send(b, 'drop')
    time.pass(1)
    expect(b.texts.at(-1)).toBe('drop')
  })

  test('a full queue drops bulk frames and says so, then says when it has drained', async () => {
    const { time, network, a, b } = await cluster(2, { queueBytes: 1_000_000 })
    network.weather({ delay: 10 })
    for (let n = 0; n < 100; n++) a.transport.send('b', [new Uint8Array(50_000)], 'bulk')
    expect(a.links).toEqual(['b up'])
    time.pass(1)
    expect(a.links).toEqual(['b up', 'b full'])
    a.send(b, 'control is not concerned')
    time.pass(20)
    expect(a.links).toEqual(['b up', 'b full', 'b up'])
    expect(b.heard.length).toBe(1 + Math.floor(1_000_000 / 50_064))
    expect(b.links).toEqual(['a up'])
  })

  test('a full control queue drops the oldest, and says nothing', async () => {
    const { time, network, a, b } = await cluster(2, { queueBytes: 200_000 })
    network.weather({ delay: 10 })
    for (let n = 0; n < 10; n++) a.transport.send('b', [new Uint8Array(50_000).fill(n)], 'control')
    time.pass(20)
    expect(b.heard.map(({ frame }) => frame[0])).toEqual([7, 8, 9])
    expect(a.links).toEqual(['b up'])
  })

  test('options and rates out of range are refused', () => {
    const network = memoryNetwork()
    const wrong: Partial<Weather>[] = [
      { loss: 2 },
      { duplicate: -1 },
      { reorder: Number.NaN },
      { delay: -1 },
      { delay: [3, 2] },
    ]
    for (const rates of wrong) expect(() => network.weather(rates)).toThrow('INVALID_OPTION')
    expect(() => memoryNetwork({ maxFrameBytes: 1000 })).toThrow('INVALID_OPTION')
    expect(() => memoryNetwork({ queueBytes: 1000 })).toThrow('INVALID_OPTION')
    expect(() => memoryNetwork({ reconnect: 0 })).toThrow('INVALID_OPTION')
  })

  test('in real time, too, a delay passes', async () => {
    const network = memoryNetwork()
    const [a, b] = [await start(network, 'a'), await start(network, 'b')]
    network.weather({ delay: [1, 5] })
    a.transport.setPeers([b.peer])
    while (a.state(b) !== 'up' || b.state(a) !== 'up') await new Promise((resolve) => setTimeout(resolve, 1))
    const before = performance.now()
    a.send(b, 'slow')
    while (b.heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(performance.now() - before).toBeGreaterThanOrEqual(1)
    await Promise.all([a.transport.close(), b.transport.close()])
  })
})
