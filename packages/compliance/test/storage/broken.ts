import type { Patch } from '../bundle.ts'

/** The template with one mistake in it, and the test that is there to find that. */
export interface Broken {
  readonly what: string
  readonly test: string
  readonly patches: readonly Patch[]
  /** What that test says then, where it is not the suite's own assertion: a call that must resolve rejects, or hangs. */
  readonly says?: RegExp
}

const broken = (what: string, test: string, file: string, ...edits: (readonly [string, string])[]): Broken => ({
  what,
  test,
  patches: edits.map(([find, replace]) => ({ file, find, replace })),
})

const killed = 'a process killed at any moment leaves a prefix of its writes, with every resolved one (seed 11)'
const flushed = 'before a write resolves, its bytes are flushed, and the name of the file that holds them'
const committed = 'before a commit resolves, the snapshot is flushed, and its name'
const readsGiven = 'bytes that a read gave stay as they are, whatever is written or read afterwards'
const writesGiven = 'bytes that were given to a write stay as they are, for ever'

const logCut =
  'a power cut at any moment leaves a prefix of the writes, with every resolved one, and a log that goes on'
const snapshotCut =
  'a power cut at any moment leaves a committed snapshot whole, and an unfinished one with an intact beginning'

export const brokenLogs: readonly Broken[] = [
  broken(
    'a write that is not atomic: the state follows the run after a while',
    'a process killed at any moment leaves no write half done',
    'journal.js',
    [
      '    if (this.#closing) return Promise.reject(closed())\n    try {',
      `    const { state, ...rest } = change
    if (state && rest.tail) return this.write(rest).then(() => wait(20)).then(() => this.write({ state }))
    if (this.#closing) return Promise.reject(closed())
    try {`,
    ],
  ),
  broken('completions in another order', 'writes resolve in the order of the calls', 'journal.js', [
    'for (const { resolve } of batch) resolve()',
    'for (const { resolve } of batch.reverse()) resolve()',
  ]),
  broken('a write that resolves while its bytes are still in a cache of the process', killed, 'journal.js', [
    'if (this.#end < this.#rewriteAt',
    `for (const { resolve } of batch) resolve()
        await wait(30)
        if (this.#end < this.#rewriteAt`,
  ]),
  broken('a write that resolves before the flush', flushed, 'journal.js', ['await this.#file.datasync()', '']),
  broken('a folder that is not flushed', flushed, 'durable.ts', [
    'await disk.rename(next, path)\n    await disk.syncDirectory(dirname(path))',
    'await disk.rename(next, path)',
  ]),
  broken('a folder of folders that is not flushed', flushed, 'folders.ts', [
    'await syncFolder(dirname(path))\n  } catch',
    '  } catch',
  ]),
  broken('a flush that is left out', logCut, 'journal.js', ['await this.#file.datasync()', '']),
  broken(
    'a flush that failed and is passed over',
    'after a flush that failed nothing more resolves, and all that had resolved is found',
    'journal.js',
    ['await this.#file.datasync()', 'await this.#file.datasync().catch(() => undefined)'],
  ),
  broken(
    'a flush that failed and is tried again',
    'after a flush that failed nothing more resolves, and all that had resolved is found',
    'journal.js',
    ['await this.#file.datasync()', 'await this.#file.datasync().catch(() => this.#file.datasync())'],
  ),
  broken(
    'a log that goes on after a failed flush',
    'after a flush that failed nothing more resolves, and all that had resolved is found',
    'journal.js',
    ['this.#failed = failed(`a write to the log of', 'const failure = failed(`a write to the log of'],
    [
      'for (const { reject } of [...batch, ...this.#waiting]) reject(this.#failed)',
      'for (const { reject } of [...batch, ...this.#waiting]) reject(failure)',
    ],
  ),
  broken('a mark that runs ahead of the flush', logCut, 'journal.js', [
    'if (this.#end < this.#rewriteAt',
    'await this.#mark.advance(this.#generation, this.#end + 50)\n        if (this.#end < this.#rewriteAt',
  ]),
  broken('a file that is renamed before it is flushed', logCut, 'durable.ts', [
    'await file.write([bytes], 0)\n      await file.sync()',
    'await file.write([bytes], 0)',
  ]),
  broken('a log that goes on behind what was torn', logCut, 'journal.js', [
    'await this.#file.truncate(this.#end)\n      await this.#file.sync()',
    'this.#end = size',
  ]),
  broken('a flush for every write', 'writes that wait together share a flush', 'journal.js', [
    'const batch = this.#waiting\n      this.#waiting = []\n      try',
    'const batch = this.#waiting.splice(0, 1)\n      try',
  ]),
  broken('a truncation that is lost', 'an empty run cuts the log, as far as to nothing', 'journal.js', [
    '    if (tail) {\n      if (tail.reset)',
    '    if (tail && (tail.reset || entries.length > 0)) {\n      if (tail.reset)',
  ]),
  broken(
    'a reset that leaves what was before it',
    'reset begins the log anew at any place, with nothing before it',
    'journal.js',
    ['if (tail.reset) this.#first = tail.at', 'if (tail.reset && tail.at < this.#first) this.#first = tail.at'],
  ),
  broken(
    'a state that a write without one wipes out',
    'a write without state keeps the state; an empty state is not none',
    'journal.js',
    ['if (state) this.#state = new Uint8Array(state)', 'this.#state = state && new Uint8Array(state)'],
  ),
  broken(
    'an empty state taken for none',
    'a write without state keeps the state; an empty state is not none',
    'frame.js',
    ['(state ? fields.state : 0)', '(state?.length ? fields.state : 0)'],
  ),
  {
    ...broken(
      'a compaction that eats too much',
      'compaction takes at most what it was told: every record above compactTo stays',
      'journal.js',
      [
        'this.#entries.splice(0, compactTo + 1 - this.#first)\n      this.#first = compactTo + 1',
        'this.#entries.splice(0, compactTo + 2 - this.#first)\n      this.#first = compactTo + 2',
      ],
    ),
    says: /COMPACTED: record 61 is gone/,
  },
  broken(
    'a rewritten journal that forgets the state',
    'a log equals its model after many random writes, reads and restarts (seed 1)',
    'journal.js',
    ['const slackBytes = 1 << 20', 'const slackBytes = 1 << 10'],
    ['      ...(state && { state }),\n    }\n    const header', '    }\n    const header'],
  ),
  broken(
    'a read that is off by one',
    'a read begins at `from` and ends at `to` or before, with whole records',
    'journal.js',
    ['while (from + count <= to) {', 'while (from + count <= Math.min(to + 1, this.#last)) {'],
  ),
  broken('a read without a limit', 'a read answers with about maxBytes, and never with nothing', 'journal.js', [
    'if (count > 0 && bytes + entry.length > maxBytes) break',
    '',
  ]),
  {
    ...broken(
      'a read that misses writes under way',
      'a read sees every write that was issued before it, resolved or not',
      'journal.js',
      ['if (to > this.#last) throw', 'if (to > this.#last || this.#entries[to - this.#first]?.held) throw'],
    ),
    says: /MISSING/,
  },
  broken(
    'a read of what is gone that answers with what is there',
    'COMPACTED below the first record, MISSING above the last',
    'journal.js',
    ['if (to > this.#last) throw', 'to = Math.min(to, this.#last)\n    if (from > this.#last) throw'],
  ),
  broken('`found` that follows the log', '`found` is never updated', 'journal.js', [
    'this.found = {',
    "Object.defineProperty(this, 'found', { get: () => ({ first: this.#first, last: this.#last, ...(this.#state && { state: this.#state }) }) })\n    const unused = {",
  ]),
  broken('a buffer that every read uses again', readsGiven, 'journal.js', [
    'const bytes = new Uint8Array(size)',
    'const pool = (globalThis.poolOfReads ??= new Uint8Array(1 << 24))\n  const bytes = pool.subarray(0, size)',
  ]),
  broken('a given buffer that is used again', writesGiven, 'journal.js', [
    'await this.#file.datasync()',
    'await this.#file.datasync()\n    for (const { change } of batch) change.tail?.run.bytes.fill(0)',
  ]),
  broken('a given buffer that is detached', writesGiven, 'journal.js', [
    'await this.#file.datasync()',
    'await this.#file.datasync()\n    for (const { change } of batch) if (change.state) structuredClone(change.state.buffer, { transfer: [change.state.buffer] })',
  ]),
  broken('a view taken for its buffer', 'a view into a larger buffer gives its own bytes and no others', 'frame.js', [
    'body.set(stateBytes, fixedBytes)',
    'body.set(new Uint8Array(stateBytes.buffer, 0, stateBytes.length), fixedBytes)',
  ]),
  broken(
    'an error that is swallowed',
    'a write that leaves a gap is refused, changes nothing, and every later one is rejected',
    'journal.js',
    ['if (this.#failed) throw this.#failed', ''],
  ),
  broken('a log with two owners', 'a log has one owner: LOCKED until it is closed', 'storage.js', [
    'if (this.#owned.has(group))',
    'if (false)',
  ]),
  broken(
    'a directory with two owners',
    'a second process is refused with LOCKED, and served once the first is killed',
    'storage.js',
    [
      'const lock = await lockFolder(this.#directory)',
      'await createDirectory(this.#directory)\n    const lock = { release: async () => undefined }',
    ],
  ),
  broken('a close that does not wait', 'closing a log waits for its writes, and is idempotent', 'journal.js', [
    '    this.#closing ??= this.#close()\n    return this.#closing',
    '    this.#closing ??= this.#close()\n    return Promise.resolve()',
  ]),
  broken('a closed log that still writes', 'a closed log rejects CLOSED', 'journal.js', [
    'if (this.#closing) return Promise.reject(closed())',
    '',
  ]),
  broken('a closed storage that opens again', 'a closed storage rejects CLOSED', 'storage.js', [
    'if (this.#closing) throw closed()',
    '',
  ]),
  {
    ...broken(
      'names that differ only in their capitals taken for one',
      'groups are apart from each other, whatever their names',
      'storage.js',
      ['const name = toFileName(group)\n', 'const name = toFileName(group).toLowerCase().replaceAll(/~\\w*/g, "")\n'],
    ),
    says: /DAMAGED: group/,
  },
  broken('a name that is a path', 'what is no name is refused, and is never a path', 'names.ts', [
    "if (typeof name !== 'string' || !rule.test(name))",
    'if (false)',
  ]),
  broken(
    'a group that is destroyed in a folder that is not flushed',
    'a power cut at any moment leaves a group or takes it, and a destroyed one stays gone',
    'storage.js',
    ['await syncDirectory(this.#groups)\n', '\n'],
  ),
  broken(
    'a destroyed group whose snapshots stay',
    'a destroyed group is gone, log and snapshots, and the others are not',
    'storage.js',
    ['await rename(folder, trash)', "for (const file of ['journal', 'mark']) await rm(join(folder, file))"],
  ),
  broken(
    'frames without a checksum',
    'wherever a bit is flipped, the logs are whole or DAMAGED, never wrong',
    'frame.js',
    ['if (view.getUint32(position + 4, true) !== checksum(body, position, group)) return undefined', ''],
  ),
  broken(
    'a journal that ends where it is damaged',
    'wherever a file is cut, the logs are whole or DAMAGED, never wrong',
    'journal.js',
    [' || this.#end < least', ''],
  ),
  {
    ...broken(
      'a full disk that is passed over',
      'on a full disk a write waits for room or is rejected, reads go on, and nothing resolved is lost',
      'journal.js',
      ['if (!isFull(error) || this.#full.signal.aborted) throw error', 'if (isFull(error)) return'],
    ),
    says: /DAMAGED|no whole record|Expected values/,
  },
  {
    ...broken('a storage that waits for room for ever', 'a storage that waits for room closes', 'journal.js', [
      'if (!isFull(error) || this.#full.signal.aborted) throw error',
      'if (!isFull(error)) throw error',
    ]),
    says: /still pending/,
  },
]

export const brokenSnapshots: readonly Broken[] = [
  broken('a flush that a commit leaves out', snapshotCut, 'writer.ts', ['await file.sync()\n', '\n']),
  broken('an unfinished snapshot that goes on behind what was torn', snapshotCut, 'writer.ts', [
    'if (!intact(held, seed, blocks)) {',
    'if (held.length < 5) {',
  ]),
  broken('a commit that resolves before the flush', committed, 'writer.ts', ['await file.sync()\n', '\n']),
  broken('a commit whose folder is not flushed', committed, 'snapshots.ts', [
    'await this.#disk.rename(from, to)\n                await this.#disk.syncDirectory(this.#directory)',
    'await this.#disk.rename(from, to)',
  ]),
  broken(
    'a snapshot that is found before it is committed',
    'a snapshot is found once it is committed, and not before',
    'snapshots.ts',
    ["const complete = '.snapshot'", "const complete = '.partial'"],
  ),
  broken('an unfinished snapshot that begins again', 'an unfinished snapshot goes on where it stopped', 'writer.ts', [
    'if (!startsWith(await readExactly(file, 0, header.length), header)) await',
    'await',
  ]),
  {
    ...broken(
      'chunks in another order',
      'chunks that are not awaited are appended in the order of the calls',
      'writer.ts',
      [
        'const done = this.#tail.then(() => {',
        'const done = (this.#bytes % 2 ? this.#tail : Promise.resolve()).then(() => {',
      ],
    ),
    says: /DAMAGED/,
  },
  broken('two writers of one name', 'a name has one writer, and a complete snapshot none', 'snapshots.ts', [
    'if (this.#writing.has(name))\n      throw',
    'if (false)\n      throw',
  ]),
  broken(
    'a complete snapshot that is written over',
    'a name has one writer, and a complete snapshot none',
    'snapshots.ts',
    ['if (await this.#exists(to)) {', 'if (false) {'],
  ),
  broken(
    'a reader that gives more than it was asked for',
    'a read gives up to maxBytes from any offset, nothing only at the end',
    'reader.ts',
    ['offset + maxBytes, (first', 'offset + maxBytes + 1, (first'],
  ),
  {
    ...broken(
      'retain that ignores readers',
      'retain leaves a snapshot to its readers until the last of them closes',
      'snapshots.ts',
      [
        'for (const [name, entry] of this.#writing) entry.dropped = !names.includes(name)',
        'for (const reader of this.#readers) await reader.close()',
      ],
    ),
    says: /CLOSED: the reader/,
  },
  broken(
    'retain that ignores writers',
    'retain leaves an open writer alone: unfinished it goes when it closes, committed it stays',
    'snapshots.ts',
    ['entry.dropped = !names.includes(name)', 'entry.dropped = false'],
  ),
  broken(
    'retain that forgets the unfinished',
    'retain removes all others, unfinished ones too, for ever',
    'snapshots.ts',
    ['const ours = file.endsWith(complete) || file.endsWith(unfinished)', 'const ours = file.endsWith(complete)'],
  ),
  broken(
    'snapshots without checksums',
    'wherever a file of the snapshots is harmed, a snapshot is whole, DAMAGED or MISSING, never wrong',
    'blob.ts',
    [
      'return end > 0 && viewOf(frame).getUint32(end, true) === checksum(frame.subarray(0, end), seed, number)',
      'return end > 0',
    ],
  ),
]
