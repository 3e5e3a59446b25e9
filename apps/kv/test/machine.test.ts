import { describe, expect, test } from 'vitest'
import { type Changes, kv, type Written } from '../src/machine/machine.ts'
import { emptyStore, limits, type Store } from '../src/machine/store.ts'

/** The machine as one replica runs it: every command is the next entry. */
class Replica {
  store: Store = emptyStore()
  index = 0

  #context() {
    return { index: ++this.index, time: 0, version: 1, random: () => 0 }
  }
  put(key: string, value: string): Written {
    return kv.commands.put(this.store, { key, value }, this.#context())
  }
  append(key: string, value: string): Written {
    return kv.commands.append(this.store, { key, value }, this.#context())
  }
  del(key: string): Written {
    return kv.commands.del(this.store, { key }, this.#context())
  }
  cas(key: string, expect: Parameters<typeof kv.commands.cas>[1]['expect'], value: string): Written {
    return kv.commands.cas(this.store, { key, expect, value }, this.#context())
  }
  get(key: string) {
    return kv.queries.get(this.store, { key })
  }
  list(prefix = '', limit = 1000, after: string | null = null) {
    return kv.queries.list(this.store, { prefix, after, limit })
  }
  keys(prefix = '', limit = 1000, after: string | null = null): string[] {
    return this.list(prefix, limit, after).entries.map(({ key }) => key)
  }
  changes(from: number, prefix = ''): Changes {
    return kv.queries.changes(this.store, { prefix, from })
  }
  /** All changes from there on, look by look. */
  follow(from: number, prefix = '') {
    const all = []
    for (let next = from; ; ) {
      const look = this.changes(next, prefix)
      if ('compacted' in look) throw new Error(`compacted up to ${look.compacted}`)
      all.push(...look.changes)
      if (look.next > look.revision) return all
      next = look.next
    }
  }
}

describe('keys and values', () => {
  test('a key carries the index of its last change and of the change that made it', () => {
    const replica = new Replica()
    expect(replica.put('a', 'x')).toEqual({ done: true, revision: 1 })
    expect(replica.append('a', 'é')).toEqual({ done: true, revision: 2 })
    expect(replica.get('a')).toEqual({ value: 'xé', revision: 2, created: 1 })
    expect(replica.del('a')).toEqual({ done: true, revision: 3 })
    expect(replica.get('a')).toBeNull()
    expect(replica.append('a', 'y')).toEqual({ done: true, revision: 4 })
    expect(replica.get('a')).toEqual({ value: 'y', revision: 4, created: 4 })
  })

  test('a deletion of nothing is a result, and no change', () => {
    const replica = new Replica()
    expect(replica.del('a')).toEqual({ done: false, why: 'MISSING', current: null })
    expect(replica.store.revision).toBe(0)
    expect(replica.follow(1)).toEqual([])
  })

  test('compare-and-set looks at the value, at the revision or at absence', () => {
    const replica = new Replica()
    expect(replica.cas('a', { value: 'x' }, 'y')).toEqual({ done: false, why: 'MISMATCH', current: null })
    expect(replica.cas('a', { absent: true }, 'x')).toEqual({ done: true, revision: 2 })
    expect(replica.cas('a', { absent: true }, 'y')).toMatchObject({ done: false, current: { value: 'x', revision: 2 } })
    expect(replica.cas('a', { revision: 1 }, 'y')).toMatchObject({ done: false })
    expect(replica.cas('a', { revision: 2 }, 'y')).toEqual({ done: true, revision: 5 })
    expect(replica.cas('a', { value: 'y' }, 'z')).toEqual({ done: true, revision: 6 })
    expect(replica.get('a')?.value).toBe('z')
  })

  test('an append that would pass the limit of a value changes nothing', () => {
    const replica = new Replica()
    replica.put('a', 'x'.repeat(limits.valueBytes - 1))
    expect(replica.append('a', 'é')).toMatchObject({ done: false, why: 'TOO_LARGE' })
    expect(replica.append('a', 'y')).toMatchObject({ done: true })
    expect(Buffer.byteLength(replica.get('a')?.value ?? '')).toBe(limits.valueBytes)
  })

  // reliability N7
  test('keys are data, those of prototypes too', () => {
    const replica = new Replica()
    const hostile = ['__proto__', 'constructor', 'toString', '../../etc/passwd', '\0', 'a/b', ' ']
    for (const key of hostile) {
      expect(replica.get(key)).toBeNull()
      replica.put(key, `value of ${key}`)
    }
    for (const key of hostile) expect(replica.get(key)?.value).toBe(`value of ${key}`)
    expect(replica.keys()).toEqual([...hostile].sort())
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})

describe('listing', () => {
  test('goes through a prefix in order, page by page', () => {
    const replica = new Replica()
    for (const key of ['b2', 'a', 'b1', 'b', 'c', 'b3']) replica.put(key, key)
    expect(replica.keys('b')).toEqual(['b', 'b1', 'b2', 'b3'])
    expect(replica.list('b', 2)).toMatchObject({ next: 'b1', revision: 6 })
    expect(replica.keys('b', 2, 'b1')).toEqual(['b2', 'b3'])
    expect(replica.list('b', 2, 'b1').next).toBeNull()
    expect(replica.keys('b', 10, 'a')).toEqual(['b', 'b1', 'b2', 'b3'])
    expect(replica.keys('b', 10, 'z')).toEqual([])
    replica.del('b2')
    replica.put('b0', '')
    expect(replica.keys('b')).toEqual(['b', 'b0', 'b1', 'b3'])
  })

  test('goes on behind a key that was deleted meanwhile', () => {
    const replica = new Replica()
    for (const key of ['a', 'b', 'c']) replica.put(key, key)
    expect(replica.list('', 2).next).toBe('b')
    replica.del('b')
    expect(replica.keys('', 2, 'b')).toEqual(['c'])
  })

  test('ends a page that has become large', () => {
    const replica = new Replica()
    for (let n = 0; n < 8; n++) replica.put(`k${n}`, 'x'.repeat(limits.valueBytes))
    expect(replica.keys()).toEqual(['k0', 'k1', 'k2', 'k3'])
    expect(replica.keys('', 1000, 'k3')).toEqual(['k4', 'k5', 'k6', 'k7'])
    expect(replica.list('', 1000, 'k3').next).toBeNull()
  })
})

describe('recent changes', () => {
  test('are told from any revision, of a prefix, with what was appended', () => {
    const replica = new Replica()
    replica.put('a', '1')
    replica.append('b', '2')
    replica.append('b', '3')
    replica.cas('b', { absent: true }, 'no')
    replica.del('a')
    expect(replica.follow(1)).toEqual([
      { revision: 1, type: 'put', key: 'a', value: '1' },
      { revision: 2, type: 'append', key: 'b', value: '2' },
      { revision: 3, type: 'append', key: 'b', value: '3' },
      { revision: 5, type: 'delete', key: 'a' },
    ])
    expect(replica.follow(3, 'b')).toEqual([{ revision: 3, type: 'append', key: 'b', value: '3' }])
    expect(replica.changes(6)).toEqual({ changes: [], next: 6, revision: 5 })
    expect(replica.changes(4, 'nothing')).toEqual({ changes: [], next: 6, revision: 5 })
  })

  test('come without gap or repetition over many looks', () => {
    const replica = new Replica()
    for (let n = 0; n < 5_000; n++) replica.put(`k${n % 3}`, String(n))
    expect(replica.follow(1).map(({ revision }) => revision)).toEqual(Array.from({ length: 5_000 }, (_, n) => n + 1))
    expect(replica.follow(1, 'k1').map(({ value }) => Number(value!) % 3)).toEqual(Array(1667).fill(1))
  })

  test('are dropped when there are too many, and then say so instead of leaving a gap', () => {
    const replica = new Replica()
    for (let n = 0; n < 12_000; n++) replica.put('k', String(n))
    const { compacted } = replica.store
    expect(compacted).toBeGreaterThan(0)
    expect(replica.store.changes.length).toBeLessThanOrEqual(11_000)
    expect(replica.changes(compacted)).toEqual({ compacted })
    expect(replica.follow(compacted + 1)).toHaveLength(12_000 - compacted)
  })

  test('are dropped when they have become large', () => {
    const replica = new Replica()
    for (let n = 0; n < 100; n++) replica.put('k', 'x'.repeat(limits.valueBytes))
    expect(replica.store.changesSize).toBeLessThan(17 * 1024 * 1024)
    expect(replica.store.changesSize).toBe(
      replica.store.changes.reduce((sum, { key, value }) => sum + key.length + value!.length + 64, 0),
    )
    expect(replica.store.compacted).toBe(100 - replica.store.changes.length)
  })
})
