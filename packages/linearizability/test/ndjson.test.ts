import {
  checkHistory,
  formatLine,
  type KeyValueOperation,
  lineMax,
  parseHistory,
  parseLine,
} from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'
import { linearizable, random } from './random-history.ts'

async function parse(...chunks: readonly (string | Uint8Array)[]): Promise<KeyValueOperation[]> {
  const encoder = new TextEncoder()
  const found: KeyValueOperation[] = []
  const bytes = chunks.map((chunk) => (typeof chunk === 'string' ? encoder.encode(chunk) : chunk))
  for await (const operation of parseHistory(bytes)) found.push(operation)
  return found
}

const put = '{"client":1,"key":"k","op":"put","input":1,"call_ns":0,"return_ns":1,"ok":true}'

describe('a line of a history file', () => {
  test.each<[string, Partial<KeyValueOperation>]>([
    [
      '{"client":"a","key":"k","op":"get","output":null,"call_ns":1,"return_ns":2,"ok":true}',
      { client: 'a', input: { op: 'get' }, output: null, call: 1, return: 2, ok: true },
    ],
    [
      '{"client":1,"key":"k","op":"put","input":{"a":[]},"call_ns":1,"return_ns":2,"ok":false}',
      { client: 1, input: { op: 'put', value: { a: [] } }, ok: false },
    ],
    [
      '{"client":1,"key":"k","op":"cas","input":[null,2],"output":false,"call_ns":1,"return_ns":2,"ok":true}',
      { input: { op: 'cas', from: null, to: 2 }, output: false },
    ],
    [
      '{"client":1,"key":"k","op":"append","input":"x","call_ns":1.5,"ok":"unknown"}',
      { input: { op: 'append', text: 'x' }, call: 1.5, ok: 'unknown' },
    ],
    [
      '{"client":1,"key":"k","op":"delete","output":true,"call_ns":1,"return_ns":2,"ok":true,"index":7}',
      { input: { op: 'delete' }, output: true, index: 7 },
    ],
  ])('%s', (line, expected) => {
    expect(parseLine(line, 1)).toMatchObject(expected)
    expect(parseLine(formatLine(parseLine(line, 1)), 1)).toEqual(parseLine(line, 1))
  })

  test('members that it does not know are passed over, and the return of an unknown outcome is', () => {
    const line =
      '{"client":1,"key":"k","op":"put","input":1,"call_ns":5,"return_ns":1,"ok":"unknown","node":"n1","output":3}'
    expect(parseLine(line, 1)).toEqual({
      client: 1,
      key: 'k',
      input: { op: 'put', value: 1 },
      output: 3,
      call: 5,
      ok: 'unknown',
    })
  })

  test.each<[string, RegExp]>([
    ['', /not JSON/],
    ['not json', /line 3 is not JSON: "not json"/],
    ['[1]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{}', /client is missing/],
    [
      '{"__proto__":{"client":1,"key":"k","op":"get","output":1,"call_ns":1,"return_ns":2,"ok":true}}',
      /client is missing/,
    ],
    [put.replace('"put"', '"increment"'), /op must be .* not "increment"/],
    [put.replace('true', '"maybe"'), /ok must be .* not "maybe"/],
    [put.replace('"return_ns":1,', ''), /return time/],
    [put.replace('"call_ns":0,', ''), /call_ns is missing/],
    [put.replace('"call_ns":0', '"call_ns":2'), /returns at 1, before its call at 2/],
    [put.replace('"call_ns":0', '"call_ns":9007199254740993'), /below 2\^53/],
    [put.replace('"put","input":1', '"cas","input":[1]'), /\[from, to\]/],
    [put.replace('"input":1', `"input":${'['.repeat(100_000)}${']'.repeat(100_000)}`), /64 levels/],
    [put.replace('"input":1', '"input":{"a":[1e999]}'), /number that is too large/],
  ])('refuses %.60s', (line, message) => {
    expect(() => parseLine(line, 3)).toThrow(
      expect.objectContaining({ code: 'HISTORY_MALFORMED', line: 3, message: expect.stringMatching(message) }),
    )
  })

  test('of a line that is too long little is told', () => {
    const error = (() => {
      try {
        return parseLine('x'.repeat(lineMax), 1)
      } catch (caught) {
        return caught as Error
      }
    })() as Error
    expect(error.message.length).toBeLessThan(200)
    expect(() => parseLine(' '.repeat(lineMax + 1), 1)).toThrow(/longer than/)
  })
})

describe('a history file', () => {
  test('says the same as the operations that it was made of', async () => {
    const history = linearizable(random(1), {
      operations: 500,
      clients: 5,
      keys: 5,
      values: 4,
      unknown: 0.1,
      ops: ['get', 'put', 'cas', 'append', 'delete'],
    })
    const text = history.map((operation) => `${formatLine(operation)}\n`).join('')
    const read = await parse(text)
    expect(checkHistory(read)).toEqual(checkHistory(history))
    expect(read.map(({ index }) => index)).toEqual(history.map(({ index }) => index))
  })

  test('may be cut anywhere, have empty lines, CRLF, a byte order mark, and no newline at its end', async () => {
    const bytes = new TextEncoder().encode(`\uFEFF${put.replace('"k"', '"ключ🗝"')}\r\n\n${put}`)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const read = await parse(bytes.subarray(0, cut), bytes.subarray(cut))
      expect(read.map(({ key }) => key)).toEqual(['ключ🗝', 'k'])
    }
  })

  test('the line of an error is counted, empty ones too', async () => {
    await expect(parse(`${put}\n\n${put}\n{"client"`)).rejects.toMatchObject({ code: 'HISTORY_MALFORMED', line: 4 })
    await expect(parse(`${put}\n`, new Uint8Array([0xff, 0xfe]))).rejects.toMatchObject({
      line: 2,
      message: expect.stringMatching(/UTF-8/),
    })
    await expect(parse(`${put}\n`, new Uint8Array([0xf0, 0x9f]))).rejects.toMatchObject({
      message: expect.stringMatching(/UTF-8/),
    })
  })

  test('a line without end costs no more than the limit', async () => {
    let read = 0
    function* endless(): Generator<Uint8Array> {
      for (;;) {
        read += 1024 * 1024
        yield new Uint8Array(1024 * 1024).fill(0x20)
      }
    }
    await expect(parseHistory(endless()).next()).rejects.toThrow(/longer than/)
    expect(read).toBeLessThanOrEqual(lineMax + 2 * 1024 * 1024)
  })
})
