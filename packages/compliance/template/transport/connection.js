// @ts-check
import { Buffer } from 'node:buffer'

/**
 * @typedef {import('@raftkit/contract').Lane} Lane
 * @typedef {import('@raftkit/contract').NodeId} NodeId
 * @typedef {object} Owner what a connection needs to know of its transport
 * @property {string} life random, of this life of this node
 * @property {number} maxFrameBytes
 * @property {number} queueBytes
 * @property {() => Uint8Array} hello
 * @property {(hello: Uint8Array) => NodeId} admit
 * @property {(connection: Connection) => void} opened both sides have admitted each other
 * @property {(connection: Connection, frame: Uint8Array) => unknown} frame
 * @property {() => void} changed it is full, or no longer
 * @property {(connection: Connection) => void} closed
 */

// On the wire: length of the body (4 bytes, little endian), kind (1 byte), body.
const headerBytes = 5
const kinds = Object.freeze({ frame: 0, hello: 1, admitted: 2, alive: 3 })
/** Of our own in front of the host's hello: a mark of this protocol with its version, the lane, the life. */
const mark = 'raftkit-template/1'
const greetingBytes = mark.length + 1 + 16
const maxHelloBytes = 8192
/** Until both have admitted each other. */
const handshakeMs = 5000
/** Said every so often; who has been silent for three of them is taken for gone. A TCP connection alone would not tell for hours. */
const aliveMs = 2000

/** One TCP connection: one lane to one peer. A frame may come only once both sides have said hello and have been admitted. */
export class Connection {
  /** @type {NodeId} */ peer = ''
  /** Of the peer, once it has said hello. */ life = ''
  full = false
  #admitted = false
  #admittedBy = false
  #closed = false
  #silent = 0
  #corked = false
  /** @type {NodeJS.Timeout} */ #timer
  #header = Buffer.alloc(headerBytes)
  /** The body that is arriving: memory of its own, so that the receiver can keep it. @type {Uint8Array | undefined} */ #body
  /** Bytes of the header, or of the body, that have arrived. */ #has = 0

  /**
   * @param {Owner} owner
   * @param {import('node:net').Socket} socket
   * @param {Lane | undefined} lane of one that we dial; the dialler names it
   * @param {NodeId} [wanted] whom we dial
   */
  constructor(owner, socket, lane, wanted) {
    this.owner = owner
    this.socket = socket
    this.lane = lane
    this.wanted = wanted
    this.#timer = setTimeout(() => this.destroy(), handshakeMs)
    socket.setNoDelay(true)
    socket.on('data', (data) => this.#receive(data))
    socket.on('drain', () => this.#isFull(false))
    socket.on('error', () => this.destroy())
    socket.on('close', () => this.destroy())
    if (wanted !== undefined) socket.once('connect', () => this.#guarded(() => this.#greet()))
  }

  get dialled() {
    return this.wanted !== undefined
  }

  get open() {
    return this.#admitted && this.#admittedBy && !this.#closed
  }

  /** @param {readonly Uint8Array[]} parts @param {number} bytes their sum */
  send(parts, bytes) {
    if (!this.open) return
    if (this.socket.writableLength + bytes > this.owner.queueBytes) {
      this.#isFull(true)
      return
    }
    this.#write(kinds.frame, parts, bytes)
  }

  destroy() {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.socket.destroy()
    this.owner.closed(this)
  }

  #greet() {
    const hello = this.owner.hello()
    const text = `${mark}${this.lane === 'bulk' ? 'b' : 'c'}${this.owner.life}`
    this.#write(kinds.hello, [Buffer.from(text), hello], text.length + hello.length)
  }

  /** @param {Uint8Array} body */
  #greeted(body) {
    const text = Buffer.from(body.buffer, body.byteOffset, Math.min(greetingBytes, body.length)).toString('latin1')
    const lane = { c: 'control', b: 'bulk' }[text[mark.length] ?? '']
    if (!text.startsWith(mark) || text.length < greetingBytes || this.life !== '') throw new Error('not one of us')
    this.life = text.slice(mark.length + 1)
    if (this.life === this.owner.life) throw new Error('this is us')
    this.peer = this.owner.admit(body.subarray(greetingBytes))
    if (this.dialled && this.peer !== this.wanted) throw new Error('another answers at that address')
    this.#admitted = true
    this.lane ??= /** @type {Lane} */ (lane)
    // Who is dialled speaks second, so that strangers learn nothing.
    if (!this.dialled) this.#greet()
    this.#write(kinds.admitted, [], 0)
    this.#opens()
  }

  #opens() {
    if (!this.open) return
    clearTimeout(this.#timer)
    this.#timer = setInterval(() => {
      if (++this.#silent > 3) this.destroy()
      else if (this.socket.writableLength === 0) this.#write(kinds.alive, [], 0)
    }, aliveMs)
    this.owner.opened(this)
  }

  /** @param {number} kind @param {readonly Uint8Array[]} parts @param {number} bytes */
  #write(kind, parts, bytes) {
    const header = Buffer.alloc(headerBytes)
    header.writeUInt32LE(bytes)
    header[4] = kind
    // What is sent in one turn of the event loop leaves together.
    if (!this.#corked) {
      this.#corked = true
      this.socket.cork()
      process.nextTick(() => {
        this.#corked = false
        this.socket.uncork()
      })
    }
    this.socket.write(header)
    for (const part of parts) if (part.length > 0) this.socket.write(part)
  }

  /** @param {boolean} full */
  #isFull(full) {
    if (this.full === full) return
    this.full = full
    if (this.open) this.owner.changed()
  }

  /** @param {Buffer} data */
  #receive(data) {
    this.#silent = 0
    this.#guarded(() => {
      let at = 0
      while (at < data.length && !this.#closed) {
        const taken = data.copy(this.#body ?? this.#header, this.#has, at)
        at += taken
        this.#has += taken
        if (!this.#body && this.#has === headerBytes) this.#begin(this.#header.readUInt32LE())
        if (this.#body && this.#has === this.#body.length) this.#finish(this.#body)
      }
    })
  }

  /** @param {number} length */
  #begin(length) {
    if (length > (this.open ? this.owner.maxFrameBytes : maxHelloBytes)) throw new Error('longer than the limit')
    this.#body = new Uint8Array(length)
    this.#has = 0
  }

  /** @param {Uint8Array} body */
  #finish(body) {
    this.#body = undefined
    this.#has = 0
    const kind = this.#header[4]
    if (kind === kinds.hello) this.#greeted(body)
    else if (kind === kinds.admitted && this.#admitted && !this.#admittedBy) {
      this.#admittedBy = true
      this.#opens()
    } else if (kind === kinds.frame && this.open) {
      const isRead = this.owner.frame(this, body)
      if (isRead === false) throw new Error('no frame of a host')
    } else if (kind !== kinds.alive || !this.open) throw new Error('out of turn')
  }

  /** Whatever is wrong with a connection ends that connection. @param {() => void} run */
  #guarded(run) {
    try {
      run()
    } catch {
      this.destroy()
    }
  }
}
