import { checkHistory, type Json, type KeyValueOperation, timeline } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'
import { linearizable, random } from './random-history.ts'

const put = (value: Json, call: number, end: number, rest: Partial<KeyValueOperation> = {}): KeyValueOperation => {
  return { client: `w${call}`, key: 'k', input: { op: 'put', value }, call, return: end, ok: true, ...rest }
}
const get = (output: Json, call: number, end: number, rest: Partial<KeyValueOperation> = {}): KeyValueOperation => {
  return { client: `r${call}`, key: 'k', input: { op: 'get' }, output, call, return: end, ok: true, ...rest }
}
const page = (...history: KeyValueOperation[]): string => timeline(checkHistory(history))

describe('the page of a history', () => {
  test('shows what cannot be placed, where its answer came from, and the order up to there', () => {
    const html = page(put(1, 0, 1e6), put(2, 2e6, 3e6), get(2, 2.5e6, 5e6), get(1, 4e6, 6e6), put(3, 6.1e6, 7e6))
    expect(html).toContain('<title>History: illegal</title>')
    expect(html.match(/class="op stuck"/g)).toHaveLength(1)
    expect(html).toMatch(/class="op stuck"><title>client r4000000: get: 1\ncalled 4 ms, returned 6 ms<\/title>/)
    expect(html).toMatch(/the value is <code>2<\/code>/)
    expect(html).toMatch(/left by client &quot;w0&quot;, <code>put 1<\/code>, at place 1 of 3/)
    expect(html.match(/class="place"[^>]*>\d+</g)!.map((text) => /(\d+)<$/.exec(text)![1])).toEqual(['1', '2', '3'])
    expect(html.match(/class="op after"/g)).toHaveLength(1)
  })

  test('shows an unknown outcome as one that goes on', () => {
    const html = page(put(1, 0, 1), put(2, 2, 3, { ok: 'unknown' }), get(2, 4, 5), get(1, 6, 7))
    expect(html).toMatch(
      /class="op unknown"><title>client w2: put 2: \?\ncalled 2 ns, outcome unknown<\/title>.*?class="on"/,
    )
  })

  test('of an ok history has no picture, of an undecided one says so', () => {
    expect(page(put(1, 0, 1), get(1, 2, 3))).not.toContain('<svg')
    const open = Array.from({ length: 30 }, (_, i) => put(i, 0, 10, { client: i }))
    const html = timeline(checkHistory([...open, get(null, 11, 12)], { steps: 1000 }))
    expect(html).toContain('The budget ended before an order was found')
  })

  test('keys, values and clients are text, whatever they say, and nothing on the page runs or loads', () => {
    const evil = `</title></svg></style><script>alert("&'1")</script><img src=x onerror=alert(1)>\u202e\u0000\u2028`
    const html = page(put({ [evil]: evil }, 0, 1, { client: evil, key: evil }), {
      client: `${evil}2`,
      key: evil,
      input: { op: 'append', text: evil },
      output: evil,
      call: 2,
      return: 3,
      ok: true,
    })
    expect(html).toContain('class="op stuck"')
    expect(html).not.toMatch(/<script|<img|onerror=[^a]|[\u202e\u2028]/i)
    expect(html).not.toContain('\0')
    expect(html.match(/<\/svg>/g)).toHaveLength(1)
    expect(html.match(/<\/style>/g)).toHaveLength(1)
    expect(html).toContain("default-src 'none'")
    expect(html).toContain('\\u202e')
    expect(html).not.toMatch(/\b(?:src|href)\s*=\s*"/)
  })

  test('stays small, however long the history and its values are', () => {
    const history = linearizable(random(2), {
      operations: 5000,
      clients: 4,
      keys: 1,
      values: Number.POSITIVE_INFINITY,
      unknown: 0.01,
      ops: ['get', 'put'],
    })
    const long = 'x'.repeat(1_000_000)
    const html = page(...history, get(long, 1e9, 1e9 + 1, { key: 'k0', client: 'last' }))
    expect(html).toContain('class="op stuck"')
    expect(html.length).toBeLessThan(200_000)
  })

  test('times are of the unit that is told', () => {
    const report = checkHistory([get(1, 1500, 2500)])
    expect(timeline(report, { unit: 'ms' })).toContain('1.5 s')
    expect(timeline(report)).toContain('1.5 µs')
  })
})
