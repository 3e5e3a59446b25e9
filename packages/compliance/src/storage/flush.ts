import assert from 'node:assert/strict'
import type { LogWrite } from '@raftkit/contract'
import type { Suite } from '../runner.ts'
import { type Failing, isFlush, isWrite, opensThrough, steps } from './calls.ts'
import type { Script } from './child.ts'
import { inPlace } from './place.ts'
import { append, blob } from './records.ts'
import type { StorageSubject } from './subject.ts'
import { saidIn, Trace } from './trace.ts'
import { runTraced, type Traced, untraceable } from './traced.ts'

const writes = 12
const together = 200

const names = {
  record: 'before a write resolves, its bytes are flushed, and the name of the file that holds them',
  commit: 'before a commit resolves, the snapshot is flushed, and its name',
  failed: 'after a flush that failed nothing more resolves, and all that had resolved is found',
  shared: 'writes that wait together share a flush',
}

/** What a power cut would take, which a kill does not: strace watches a real process and its system calls. */
export function flushPromises(suite: Suite, subject: StorageSubject): void {
  const { program } = subject
  const why = untraceable(subject)
  if (program === undefined || why !== undefined) {
    for (const name of Object.values(names)) suite.skip(name, why ?? '')
    return
  }

  suite.test(names.record, async () => {
    const { trace, lines } = await tracedAlone(subject, program, {
      writes: [{ group: 'main', changes: Array.from({ length: writes }, (_, i) => marked(i)) }],
    })
    const replay = new Trace()
    replay.replay(trace, (line) => {
      const n = /^done 0 (\d+)$/.exec(line)?.[1]
      if (n !== undefined) assert.equal(replay.lost(`mark-${n}`), undefined, `at the moment write ${n} resolved`)
    })
    assert.equal(lines.filter((line) => line.startsWith('done')).length, writes)
  })

  suite.test(names.commit, async () => {
    const chunks = ['mark-1 ', 'mark-2 '].map((text) => blob(text.padEnd(5000, '.')))
    const { trace, lines } = await tracedAlone(subject, program, { snapshot: { name: 's', chunks } })
    const replay = new Trace()
    replay.replay(trace, (line) => {
      if (line !== 'committed') return
      for (const mark of ['mark-1', 'mark-2'])
        assert.equal(replay.lost(mark), undefined, 'at the moment the commit resolved')
    })
    assert.ok(lines.includes('committed'))
  })

  suite.test(names.failed, async () => {
    const script: Script = {
      writes: [{ group: 'main', changes: Array.from({ length: writes }, (_, i) => marked(i)) }],
    }
    const sound = await tracedAlone(subject, program, script)
    let rejected = 0
    for (const failing of flushesAfter(sound.trace, [2, 5, 8]))
      await inPlace(subject, async (place) => {
        const { trace, lines } = await runTraced(program, place.directory, script, failing)
        assert.match(trace, /EIO .*INJECTED/, `${failing.name} ${failing.ordinal} was to fail`)
        const outcomes = lines.filter((line) => /^(done|failed)/.test(line))
        assert.equal(outcomes.length, writes, `every write settles when flush ${failing.ordinal} fails`)
        const first = outcomes.findIndex((line) => line.startsWith('failed'))
        const resolved = first < 0 ? writes : first
        rejected += writes - resolved
        for (const line of outcomes.slice(resolved))
          assert.match(line, /^failed \d+ \d+ STORAGE_FAILED$/, `after flush ${failing.ordinal} failed`)
        const failed = new Trace()
        failed.replay(trace, (line) => {
          const n = /^done 0 (\d+)$/.exec(line)?.[1]
          if (n !== undefined)
            assert.equal(
              failed.lost(`mark-${n}`),
              undefined,
              `write ${n} resolved when flush ${failing.ordinal} had failed`,
            )
        })
        const { found } = await place.log()
        assert.ok(
          found.last >= resolved && found.last <= writes,
          `${resolved} writes had resolved, ${found.last} are found`,
        )
      })
    assert.ok(rejected > 0, 'flushes failed, and no write was rejected')
  })

  suite.test(names.shared, async () => {
    const changes = Array.from({ length: together }, (_, i) => append(i + 1, 1, i))
    const { trace } = await tracedAlone(subject, program, { writes: [{ group: 'main', changes }], ahead: together })
    const replay = new Trace()
    let opened = 0
    replay.replay(trace, (line) => {
      if (line === 'open') opened = replay.flushes
    })
    const flushes = replay.flushes - opened
    assert.ok(flushes >= 1, 'the writes were not flushed at all')
    assert.ok(flushes <= together / 2, `${together} writes that were issued at once took ${flushes} flushes`)
  })
}

/** A record and a state that hold their number in plain text. */
function marked(n: number): LogWrite {
  const text = Buffer.from(`....mark-${n} `.padEnd(60, '.'))
  text.writeUInt32LE(text.length, 0)
  return { tail: { at: n + 1, run: { count: 1, bytes: new Uint8Array(text) } } }
}

async function tracedAlone(subject: StorageSubject, program: string | URL, script: Script): Promise<Traced> {
  let found: Traced | undefined
  await inPlace(subject, async ({ directory }) => {
    found = await runTraced(program, directory, script)
  })
  return found!
}

/** The first flush that begins after each of these writes has resolved: a call of its own, or a write to a file that is written through. */
function flushesAfter(trace: string, resolved: readonly number[]): Failing[] {
  const found: Failing[] = []
  const counts = new Map<string, number>()
  const through = new Set<string>()
  let wanted = false
  for (const step of steps(trace)) {
    const { call, thread, type } = step
    const n = /^done 0 (\d+)$/.exec(saidIn(step) ?? '')?.[1]
    if (n !== undefined && resolved.includes(Number(n))) wanted = true
    if (type === 'end' && call.result && opensThrough(call)) through.add(call.result.path)
    if (type === 'end' || !(isFlush(call) || isWrite(call))) continue
    const key = `${thread} ${call.name}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
    if (!isFlush(call) && !through.has(call.fd?.path ?? '')) continue
    if (wanted) found.push({ name: call.name, ordinal: counts.get(key)! })
    wanted = false
  }
  return found
}
