import { EventSourceParserStream } from 'eventsource-parser/stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Change } from '../src/machine/store.ts'
import { ask, ThreeMembers } from './three-members.ts'

let cluster: ThreeMembers
beforeAll(async () => {
  cluster = await ThreeMembers.start()
})
afterAll(() => cluster.stop())

interface Seen extends Change {
  readonly id: string | undefined
}

/** The first so many events of a watch. */
async function watch(id: string, query: string, count: number, headers: Record<string, string> = {}): Promise<Seen[]> {
  const stop = new AbortController()
  const response = await fetch(`${cluster.url(id)}/v1/watch?${query}`, { headers, signal: stop.signal })
  expect(response.status).toBe(200)
  const seen: Seen[] = []
  try {
    for await (const event of response
      .body!.pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())) {
      seen.push({ ...JSON.parse(event.data), id: event.id })
      if (seen.length === count) return seen
    }
  } finally {
    stop.abort()
  }
  throw new Error(`the watch ended after ${seen.length} events`)
}

async function put(key: string, value: string, id = 'n1'): Promise<number> {
  return (await ask(cluster.url(id), `/v1/kv/${encodeURIComponent(key)}`, { method: 'PUT', body: { value } })).body
    .revision
}

// reliability Q13
describe('a watch', () => {
  test('tells every change once, in order, with its revision as id, whatever member is watched', async () => {
    const from = await put('order/begin', '')
    const watching = ['n1', 'n2', 'n3'].map((id) => watch(id, `prefix=order/&from=${from + 1}`, 60))
    const revisions: number[] = []
    for (let n = 0; n < 60; n++) {
      revisions.push(await put(`order/${n % 7}`, String(n), `n${(n % 3) + 1}`))
      await put('elsewhere', String(n))
    }
    for (const seen of await Promise.all(watching)) {
      expect(seen.map(({ value }) => value)).toEqual(Array.from({ length: 60 }, (_, n) => String(n)))
      expect(seen.map(({ revision }) => revision)).toEqual(revisions)
      expect(seen.map(({ id }) => Number(id))).toEqual(revisions)
    }
  }, 60_000)

  test('resumes on another member where it ended, by the address or by Last-Event-ID', async () => {
    const from = await put('resume/0', '0')
    for (let n = 1; n < 20; n++) await put(`resume/${n}`, String(n))
    const first = await watch('n1', `prefix=resume/&from=${from}`, 8)
    const last = first.at(-1)!.revision
    const byAddress = await watch('n2', `prefix=resume/&from=${last + 1}`, 12)
    const byHeader = await watch('n3', `prefix=resume/&from=${from}`, 12, { 'last-event-id': String(last) })
    expect([...first, ...byAddress].map(({ value }) => Number(value))).toEqual(Array.from({ length: 20 }, (_, n) => n))
    expect(byHeader).toEqual(byAddress)
  })

  test('goes on over a change of the leader', async () => {
    const from = await put('leader/0', '0')
    const watching = watch('n2', `prefix=leader/&from=${from}`, 10)
    for (let n = 1; n < 10; n++) {
      if (n % 3 === 0) await ask(cluster.url(await cluster.leader()), '/v1/transfer', { method: 'POST' })
      await put(`leader/${n}`, String(n))
    }
    expect((await watching).map(({ value }) => Number(value))).toEqual(Array.from({ length: 10 }, (_, n) => n))
  })

  test('without from begins with what changes after it', async () => {
    await put('now/old', 'old')
    const response = await fetch(`${cluster.url('n3')}/v1/watch?prefix=now/`)
    const reader = response
      .body!.pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
      .getReader()
    await put('now/new', 'new')
    const { value } = await reader.read()
    expect(JSON.parse(value!.data)).toMatchObject({ key: 'now/new', type: 'put' })
    await reader.cancel()
  })

  test('from a revision whose changes are gone is 410, with a code', async () => {
    const from = await put('gone', '')
    const value = 'x'.repeat(256 * 1024)
    for (let n = 0; n < 80; n++) await put('gone', value)
    const answer = await ask(cluster.url('n2'), `/v1/watch?from=${from}`)
    expect([answer.status, answer.body.error.code]).toEqual([410, 'COMPACTED'])
    expect(answer.body.compacted).toBeGreaterThanOrEqual(from)
    expect(await watch('n2', `prefix=gone&from=${answer.body.compacted + 1}`, 1)).toHaveLength(1)
  }, 60_000)

  test('ends when its member leaves, and the cluster goes on', async () => {
    const follower = await cluster.follower()
    const response = await fetch(`${cluster.url(follower)}/v1/watch`)
    const ended = response.text()
    await cluster.served.get(follower)!.stop()
    expect(await ended).toContain('retry:')
  })
})
