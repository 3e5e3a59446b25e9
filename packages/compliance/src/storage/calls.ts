/** The system calls that put bytes and names on a disk; `?`: not every machine has all of them. */
const traced =
  '?open,openat,?creat,?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?link,?linkat,write,?pwrite64,?writev,?pwritev,?pwritev2,?truncate,ftruncate,?fallocate,fsync,fdatasync'

/** One flush that is to fail: the n-th of that name, in its thread. */
export interface Failing {
  readonly name: string
  readonly ordinal: number
}

const recording = (output: string): string[] => [
  ...['-f', '-y', '-xx', '-s', '8000000', '-o', output, '-e', `trace=${traced}`],
]

/**
 * Runs a command with its system calls recorded in `output`, for a `RecordedDisk`. The command is the process that is started (strace is a
 * child of it), no other call is stopped, and the recording is whole once the standard error of the process was closed. `flushTakes`: microseconds
 * that flushes and writes at an offset take longer, as on a slow disk, so that a power cut is more likely to meet one.
 */
export const recorded = (output: string, { flushTakes = 0 }: { readonly flushTakes?: number } = {}): string[] => [
  ...['strace', '-D', '--seccomp-bpf', ...recording(output)],
  ...(flushTakes > 0 ? ['-e', `inject=fsync,fdatasync,?pwrite64,?pwritev,?pwritev2:delay_enter=${flushTakes}`] : []),
]

/** Runs a command under strace; the trace goes to `output`, with every string whole and in hex. */
export const strace = (output: string, failing?: Failing): string[] => [
  'strace',
  ...recording(output),
  // One thread for files, so that the ordinals of two runs are the same.
  ...['-E', 'UV_THREADPOOL_SIZE=1'],
  ...(failing ? ['-e', `inject=${failing.name}:error=EIO:when=${failing.ordinal}`] : []),
]

/** A system call. It takes effect somewhere between its begin and its end. */
export interface Call {
  readonly name: string
  /** The file that it was called on, with the path of that moment. */
  readonly fd: { readonly number: number; readonly path: string } | undefined
  /** The paths among its arguments, whole ones. */
  readonly paths: readonly string[]
  /** The bytes to write. */
  readonly data: Uint8Array
  /** Its arguments as strace shows them: flags, sizes, offsets. */
  readonly text: string
  /** What it returned, and for a file that was opened, its path. */
  readonly result: { readonly value: number; readonly path: string } | undefined
}

export type Step = { readonly type: 'begin' | 'end'; readonly thread: string; readonly call: Call }

export const isFlush = ({ name }: Call): boolean => name === 'fsync' || name === 'fdatasync'

/** A file is opened so that every write to it is a flush. */
export const opensThrough = ({ name, text }: Call): boolean => name.startsWith('open') && /O_D?SYNC/.test(text)

/** Puts bytes into a file. */
export const isWrite = ({ name, data }: Call): boolean => /^p?write/.test(name) && data.length > 0

/** The calls of a trace as they began and ended, those alone that name something below `directory`. Those that failed do not end, flushes apart. */
export function* steps(trace: string, directory = ''): Generator<Step> {
  const unfinished = new Map<string, string>()
  const name = Buffer.from(directory).toString('hex').replace(/../g, '\\x$&')
  for (const line of trace.split('\n')) {
    if (!line.includes(name) && !line.includes(' resumed>') && !line.includes(directory)) continue
    const space = line.indexOf(' ')
    const thread = line.slice(0, space)
    const rest = line.slice(space).trimStart()
    const begins = !rest.startsWith('<...')
    let text = begins ? rest : `${unfinished.get(thread) ?? ''}${rest.replace(/^<\.\.\. \w+ resumed>/, '')}`
    unfinished.delete(thread)
    if (!/^\w+\(/.test(text)) continue
    const ends = !text.endsWith('<unfinished ...>')
    if (!ends) {
      text = text.slice(0, -'<unfinished ...>'.length)
      unfinished.set(thread, text)
    }
    const call = parse(text)
    if (begins) yield { type: 'begin', thread, call }
    if (ends && call.result && (call.result.value >= 0 || isFlush(call))) yield { type: 'end', thread, call }
  }
}

function parse(text: string): Call {
  const name = text.slice(0, text.indexOf('('))
  const on = /^\w+\((\d+)<([^>]*)>/.exec(text)
  const result = /\)\s+= (-?\d+)(?:<([^>]*)>)?/.exec(text)
  const strings = [...text.matchAll(/(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"/g)]
  const writes = /^p?writev?/.test(name)
  return {
    name,
    fd: on ? { number: Number(on[1]), path: decode(on[2]!).toString() } : undefined,
    paths: writes ? [] : strings.map(([, folder, path = '']) => whole(decode(path).toString(), folder)),
    data: writes ? Buffer.concat(strings.map(([, , bytes = '']) => decode(bytes))) : new Uint8Array(0),
    text,
    result: result ? { value: Number(result[1]), path: decode(result[2] ?? '').toString() } : undefined,
  }
}

/** strace before 5.6 shows the paths of descriptors as they are. */
const decode = (hex: string): Buffer =>
  hex.startsWith('\\x') ? Buffer.from(hex.replaceAll('\\x', ''), 'hex') : Buffer.from(hex)

const whole = (path: string, folder: string | undefined): string =>
  path.startsWith('/') || folder === undefined ? path : `${decode(folder).toString()}/${path.replace(/^\.\//, '')}`
