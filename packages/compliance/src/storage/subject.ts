import { RaftkitError, type Storage } from '@raftkit/contract'

/** The adapter under test, and what its author says of it. */
export interface StorageSubject {
  /**
   * Opens the storage of a directory, which is there and is empty or as an earlier open left it. Called many times, also while another storage
   * of the same directory is open. An adapter that keeps its bytes elsewhere (a database, a map) keeps one place per directory's path.
   */
  readonly open: (directory: string) => Storage | Promise<Storage>
  /** The address of a module that exports such an `open`, for real child processes. Without it, the tests that kill processes are skipped. */
  readonly program?: string | URL
  /** Default true. False: nothing outlives `close`, as the storage's own `durable` must say. */
  readonly durable?: boolean
  /** A closed storage serves the next owner by itself, as memory does for tests: calls after `close` are not expected to reject. Default false. */
  readonly reopens?: boolean
  /**
   * What becomes of files that were cut or altered while nobody held them. Default `detected`: open or read rejects `DAMAGED`, or everything is there.
   * `loader`: the adapter leaves altered bytes inside a record or state, and writes lost from the end, to the protocol's loader and to the peers; a hole, a
   * mixture or an older record in the place of a newer one fails even so. `false`: no files in the directory.
   */
  readonly damage?: 'detected' | 'loader' | false
  /** Why strace does not see the records on their way to a file: compressed, encrypted, another machine. Shown as the reason of skipped tests. */
  readonly untraced?: string
  /** A folder on a disk of about 16 MiB, for the tests of a full one. Default: a tmpfs, where one can be mounted. */
  readonly smallDisk?: () => Promise<SmallDisk>
  /** Of all that is random. Default 1. */
  readonly seed?: number
}

export interface SmallDisk {
  readonly directory: string
  remove(): Promise<void>
}

/** Throws `INVALID_OPTION` for what is no subject: a misspelt option would leave promises untested. */
export function checkSubject(subject: StorageSubject): void {
  const kinds: { [K in keyof StorageSubject]-?: (value: unknown) => boolean } = {
    open: (value) => typeof value === 'function',
    program: (value) => typeof value === 'string' || value instanceof URL,
    durable: (value) => typeof value === 'boolean',
    reopens: (value) => typeof value === 'boolean',
    damage: (value) => value === false || value === 'detected' || value === 'loader',
    untraced: (value) => typeof value === 'string' && value !== '',
    smallDisk: (value) => typeof value === 'function',
    seed: (value) => Number.isSafeInteger(value),
  }
  if (typeof subject?.open !== 'function')
    throw new RaftkitError(
      'INVALID_OPTION',
      'a subject is an object with the function `open`, and may say more of the adapter',
    )
  for (const [option, value] of Object.entries(subject))
    if (value !== undefined && !kinds[option as keyof StorageSubject]?.(value))
      throw new RaftkitError(
        'INVALID_OPTION',
        `\`${option}\` is no option of a subject, or has a wrong value: ${String(value)}`,
      )
}
