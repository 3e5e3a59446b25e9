import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { RaftkitError } from '@raftkit/contract'
import { onDisk, systemCode } from './failure.ts'
import { createFolder } from './folders.ts'

/** A folder held by this owner alone. */
export interface FolderLock {
  /** Idempotent. */
  release(): Promise<void>
}

/**
 * Holds the folder (made if it is missing) against every other owner, in this process and in others of this machine.
 * The kernel lets go of the lock when its process ends, however it ends: nothing stale ever blocks a restart.
 * Rejects `LOCKED` with the holder's process id.
 *
 * Node has no flock. macOS, the BSDs and Windows lock a file as it is opened; elsewhere a listening socket in the folder says that its
 * process lives. The holder is seen from other containers that mount the folder, but not from other machines (a network file system).
 */
export async function lockFolder(directory: string): Promise<FolderLock> {
  await onDisk(`create the folder ${directory}`, () => createFolder(resolve(directory)))
  const flag = lockOnOpen()
  return onDisk(`lock the folder ${directory}`, () =>
    flag === undefined ? lockBySocket(directory) : lockByOpen(directory, flag),
  )
}

/**
 * The process that holds the folder now, as far as it tells; undefined if nobody does. Changes nothing in the folder, and holds nothing: somebody may take
 * it the moment after.
 */
export async function folderHolder(directory: string): Promise<string | undefined> {
  const flag = lockOnOpen()
  return onDisk(`look who holds the folder ${directory}`, async () => {
    if (flag === undefined) {
      const folder = await open(directory, 'r')
      try {
        const short = (name: string): string => `/proc/self/fd/${folder.fd}/${name}`
        for (const name of await readdir(directory)) {
          const pid = claimRule.exec(name)?.[1]
          if (pid !== undefined && (await listens(short(name)))) return pid
        }
        return undefined
      } finally {
        await folder.close()
      }
    }
    try {
      await (await open(join(directory, 'lock'), constants.O_RDONLY | flag)).close()
      return undefined
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      if (!['EBUSY', 'EAGAIN', 'EWOULDBLOCK'].includes(systemCode(error) ?? '')) throw error
      return await readFile(join(directory, 'lock.pid'), 'utf8').catch(() => 'another process')
    }
  })
}

/** `O_EXLOCK`, which Node passes on without naming it: flock on open(2), or no sharing on CreateFile (libuv's UV_FS_O_EXLOCK). */
function lockOnOpen(): number | undefined {
  switch (process.platform) {
    case 'darwin':
    case 'freebsd':
    case 'netbsd':
    case 'openbsd':
      return 0x20 | constants.O_NONBLOCK
    case 'win32':
      return 0x1000_0000
    default:
      return undefined
  }
}

async function lockByOpen(directory: string, flag: number): Promise<FolderLock> {
  const path = join(directory, 'lock')
  const holder = `${path}.pid`
  try {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | flag, 0o600)
    await writeFile(holder, String(process.pid))
    return { release: once(() => file.close()) }
  } catch (error) {
    if (!['EBUSY', 'EAGAIN', 'EWOULDBLOCK'].includes(systemCode(error) ?? '')) throw error
    throw locked(directory, await readFile(holder, 'utf8').catch(() => ''))
  }
}

/** A claim: `lock-<process>-<random>`, a socket on which its owner listens. */
const claimRule = /^lock-(\d+)-[0-9a-f]+$/

/**
 * Each contender puts up a claim of its own and only then looks for others (the flag principle: of two, at least one sees the other).
 * A claim that nobody listens on is dead for ever, since its name is never used again: whoever meets it removes it, and no contender
 * can remove a living one. Two that meet both withdraw, wait a random while and try again.
 */
async function lockBySocket(directory: string): Promise<FolderLock> {
  // A socket's path has room for 107 bytes only; through a descriptor of the folder it is always short.
  const folder = await open(directory, 'r')
  const short = (name: string) => `/proc/self/fd/${folder.fd}/${name}`
  try {
    for (let attempt = 1; ; attempt++) {
      const name = `lock-${process.pid}-${randomBytes(8).toString('hex')}`
      const server = await listen(short(`new-${name}`))
      const withdraw = once(async () => {
        await rm(join(directory, name), { force: true })
        await new Promise((closed) => server.close(closed))
      })
      try {
        // Renamed once it listens: a claim that is seen and refuses connections is dead, not young.
        await rename(join(directory, `new-${name}`), join(directory, name))
        const other = await livingClaim(directory, name, short)
        if (other === undefined) return { release: once(() => withdraw().finally(() => folder.close())) }
        if (attempt === 5) throw locked(directory, other)
      } catch (error) {
        await withdraw()
        // Another contender met the claim in the instant before it listened, and took it for dead.
        if (systemCode(error) !== 'ENOENT' || attempt === 5) throw error
      }
      await withdraw()
      await wait(Math.random() * 20 * 2 ** attempt)
    }
  } catch (error) {
    await folder.close()
    throw error
  }
}

/** The process of some living claim other than `own`. Dead ones are removed, half-made ones of the dead too. */
async function livingClaim(
  directory: string,
  own: string,
  short: (name: string) => string,
): Promise<string | undefined> {
  let living: string | undefined
  for (const name of await readdir(directory)) {
    const young = name.startsWith('new-')
    const pid = claimRule.exec(young ? name.slice(4) : name)?.[1]
    if (pid === undefined || name === own) continue
    if (await listens(short(name))) {
      if (!young) living = pid
    } else if (!young || pid !== String(process.pid)) await rm(join(directory, name), { force: true })
  }
  return living
}

function listen(path: string): Promise<Server> {
  // Whoever connects has learnt all it wanted.
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // exclusive: in a worker of node:cluster, the lock is the worker's and not the primary's.
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject).on('error', () => undefined)
      server.unref()
      resolve(server)
    })
  })
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Refused: the kernel closed it with its process. Anything else (another user's, a full queue) may be alive.
    socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(systemCode(error) ?? '')))
  })
}

function locked(directory: string, pid: string): RaftkitError {
  const holder = pid === String(process.pid) ? 'this very process' : pid === '' ? 'another process' : `process ${pid}`
  return new RaftkitError(
    'LOCKED',
    `${holder} holds the folder ${directory}; end it first, or give this member a folder of its own`,
  )
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}
