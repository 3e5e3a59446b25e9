import { RaftkitError, type SnapshotReader, type SnapshotStore, type SnapshotWriter } from '@raftkit/contract'

interface Blob {
  chunks: Uint8Array[]
  bytes: number
  complete: boolean
  /** Its writer is open. */
  writing: boolean
  /** `retain` did not name it while its writer was open: it goes when that closes without commit. */
  dropped: boolean
}

interface Session {
  open: boolean
}

/** The blobs of one group. They outlive the sessions in which they are used. */
export class MemorySnapshots {
  readonly #blobs = new Map<string, Blob>()
  #session: Session = { open: true }

  get empty(): boolean {
    return this.#blobs.size === 0
  }

  /** Ends every session so far: what was opened in it rejects `CLOSED`. */
  end(): void {
    this.#session.open = false
    this.#session = { open: true }
    for (const blob of this.#blobs.values()) blob.writing = false
  }

  session(): SnapshotStore {
    const session = this.#session
    return {
      open: async (name) => {
        check(session.open)
        return this.#open(name, session)
      },
      create: async (name) => {
        check(session.open)
        return this.#create(name, session)
      },
      retain: async (names) => {
        check(session.open)
        for (const [name, blob] of this.#blobs) {
          if (names.includes(name)) blob.dropped = false
          else if (blob.writing) blob.dropped = true
          else this.#blobs.delete(name)
        }
      },
    }
  }

  #open(name: string, session: Session): SnapshotReader {
    const blob = this.#blobs.get(checked(name))
    if (!blob?.complete) throw new RaftkitError('MISSING', `there is no complete snapshot ${name}`)
    // Pinned by being held here: retain forgets the name, not the bytes.
    const bytes = new Uint8Array(blob.bytes)
    let at = 0
    for (const chunk of blob.chunks) {
      bytes.set(chunk, at)
      at += chunk.length
    }
    blob.chunks = [bytes]
    let open = true
    return {
      bytes: bytes.length,
      read: async (offset, maxBytes) => {
        check(open && session.open)
        if (!Number.isSafeInteger(offset) || offset < 0 || !(maxBytes > 0))
          throw new RaftkitError('INVALID_OPTION', `cannot read ${maxBytes} bytes at ${offset}`)
        return bytes.subarray(offset, offset + maxBytes)
      },
      close: async () => {
        open = false
      },
    }
  }

  #create(name: string, session: Session): SnapshotWriter {
    const blobs = this.#blobs
    const blob = blobs.get(checked(name)) ?? {
      chunks: [],
      bytes: 0,
      complete: false,
      writing: false,
      dropped: false,
    }
    if (blob.complete) throw new RaftkitError('REFUSED', `snapshot ${name} is complete already; open it`)
    if (blob.writing) throw new RaftkitError('LOCKED', `snapshot ${name} is being written; close its writer first`)
    blob.writing = true
    blobs.set(name, blob)
    let open = true
    const end = (): void => {
      open = false
      blob.writing = false
    }
    return {
      get bytes() {
        return blob.bytes
      },
      write: async (chunk) => {
        check(open && session.open)
        blob.chunks.push(new Uint8Array(chunk))
        blob.bytes += chunk.length
      },
      commit: async () => {
        check(open && session.open)
        end()
        // From now on `open` finds it, whatever an earlier retain said of the unfinished one.
        blob.complete = true
        blob.dropped = false
      },
      close: async () => {
        if (!open || !session.open) return
        end()
        if (blob.dropped && blobs.get(name) === blob) blobs.delete(name)
      },
    }
  }
}

function checked(name: string): string {
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name))
    throw new RaftkitError('INVALID_OPTION', `${JSON.stringify(name)} does not name a snapshot`)
  return name
}

function check(open: boolean): void {
  if (!open) throw new RaftkitError('CLOSED', 'this was closed; open it again')
}
