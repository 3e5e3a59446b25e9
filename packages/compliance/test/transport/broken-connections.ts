import type { Broken } from './broken.test.ts'

const file = 'connection.js'

/** Mistakes with the bytes of one connection. */
export const brokenConnections: readonly Broken[] = [
  {
    mistake: 'the buffer of a frame is used again for the next',
    patches: [
      {
        file,
        find: 'this.#body = new Uint8Array(length)',
        replace: 'this.#body = (this.pool ??= new Uint8Array(2 ** 23)).subarray(0, length)',
      },
    ],
    promise: 'bytes that were handed over are left alone for ever, on either side',
    says: /a frame that was received was changed afterwards/,
  },
  {
    mistake: 'what was sent is masked in place',
    patches: [
      {
        file,
        find: 'if (part.length > 0) this.socket.write(part)',
        replace: 'if (part.length > 0) this.socket.write(part, () => part.fill(0))',
      },
    ],
    promise: 'bytes that were handed over are left alone for ever, on either side',
    says: /a part that was sent was changed afterwards/,
  },
  {
    mistake: 'frames that arrive together are joined',
    patches: [
      {
        file,
        find: 'this.owner.frame(this, body)',
        replace: `(() => {
          if (!this.joined) queueMicrotask(() => {
            const all = this.joined
            this.joined = undefined
            this.owner.frame(this, Buffer.concat(all))
          })
          this.joined = [...(this.joined ?? []), body]
        })()`,
      },
    ],
    promise: 'many small frames in one turn stay many frames',
    says: /frames are still missing; besides: .*never sent/,
  },
  {
    mistake: 'each part is sent as a frame',
    patches: [
      {
        file,
        find: 'this.#write(kinds.frame, parts, bytes)',
        replace: 'for (const part of parts) this.#write(kinds.frame, [part], part.length)',
      },
    ],
    promise: 'the parts of a frame are one frame',
    says: /a frame in views of a larger buffer .* reaches b.*never sent/,
  },
  {
    mistake: 'the queue of a peer has no bound',
    patches: [{ file, find: 'this.#isFull(true)\n      return\n', replace: 'this.#isFull(true)\n' }],
    promise:
      'a peer that was dialled and does not read costs bounded memory, is full, and up again once it has drained',
    says: /MiB are held for a peer that does not read; the bound is 64 MiB/,
  },
  {
    mistake: 'the control queue of a peer has no bound',
    patches: [
      {
        file,
        find: 'if (this.socket.writableLength + bytes > this.owner.queueBytes)',
        replace: "if (this.lane === 'bulk' && this.socket.writableLength + bytes > this.owner.queueBytes)",
      },
    ],
    promise: 'control frames for a peer that does not read cost bounded memory, and others get through later',
    says: /MiB are held for a peer that does not read; the bound is 64 MiB/,
  },
  {
    mistake: 'it drops bulk frames and never says full',
    patches: [{ file, find: 'this.#isFull(true)\n      return\n', replace: 'return\n' }],
    promise:
      'a peer that was dialled and does not read costs bounded memory, is full, and up again once it has drained',
    says: /link says full while bulk frames are dropped/,
  },
  {
    mistake: 'it says full and never up again',
    patches: [{ file, find: "socket.on('drain', () => this.#isFull(false))", replace: '' }],
    promise: 'a peer that dialled and does not read costs bounded memory, is full, and up again once it has drained',
    says: /link says up once the queue has drained/,
  },
  {
    mistake: 'a long hello is cut off',
    patches: [
      {
        file,
        find: 'const hello = this.owner.hello()',
        replace: 'const hello = this.owner.hello().subarray(0, 1000)',
      },
    ],
    promise: 'hellos of every size up to 4 KiB arrive as they were said',
    says: /admit got a hello of 1000 bytes that nobody said/,
  },
  {
    mistake: 'who is dialled is taken for the one that was wanted',
    patches: [
      {
        file,
        find: "if (this.dialled && this.peer !== this.wanted) throw new Error('another answers at that address')",
        replace: 'if (this.wanted !== undefined) this.peer = this.wanted',
      },
    ],
    promise: 'who answers at the address of another is not taken for it',
    says: /b is not connected/,
  },
]
