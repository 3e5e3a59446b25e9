import type { Broken } from './broken.test.ts'

const file = 'transport.js'

/** Mistakes with hosts, links and the life cycle. */
export const brokenTransports: readonly Broken[] = [
  {
    mistake: 'admit is not asked: the hello is believed',
    patches: [
      {
        file,
        find: 'admit: (hello) => this.#host().admit(hello)',
        replace: "admit: (hello) => String(Buffer.from(hello)).split('/')[1]",
      },
    ],
    promise: 'hello goes both ways and is admitted before anything passes',
    says: /whom nobody admitted/,
  },
  {
    mistake: 'a refusal of admit is ignored',
    patches: [
      {
        file,
        find: 'admit: (hello) => this.#host().admit(hello)',
        replace: `admit: (hello) => {
          try {
            return this.#host().admit(hello)
          } catch {
            return String(Buffer.from(hello)).split('/')[1]
          }
        }`,
      },
    ],
    promise: 'a node of another cluster at a reused address gets nothing through, whoever dials',
    says: /no frame passes/,
  },
  {
    mistake: 'hello is asked for once and kept',
    patches: [
      {
        file,
        find: 'hello: () => this.#host().hello()',
        replace: 'hello: () => (this.said ??= this.#host().hello())',
      },
    ],
    promise: 'every connection begins with a hello of its own, asked for at that time',
    says: /the new life hears a new hello, not one that was kept/,
  },
  {
    mistake: 'frames are handed on under the name that was admitted last',
    patches: [
      {
        file,
        find: 'frame: ({ peer }, frame) => this.#receiver?.frame(peer, frame)',
        replace: 'frame: (_, frame) => this.#receiver?.frame(this.last, frame)',
      },
      {
        file,
        find: 'admit: (hello) => this.#host().admit(hello)',
        replace: 'admit: (hello) => (this.last = this.#host().admit(hello))',
      },
    ],
    promise: 'frames of many peers, in all directions at once, never cross',
    says: /that \w never sent to \w/,
  },
  {
    mistake: 'a frame above the limit ends the connection',
    patches: [
      {
        file,
        find: 'if (bytes <= this.maxFrameBytes) connection.send(frame, bytes)',
        replace: 'if (bytes <= this.maxFrameBytes) connection.send(frame, bytes)\n    else connection.destroy()',
      },
    ],
    promise: 'a frame above the limit is dropped, harms no link, and the next one arrives',
    says: /the link is left in peace/,
  },
  {
    mistake: 'a frame above the limit is sent all the same',
    patches: [{ file, find: 'if (bytes <= this.maxFrameBytes) connection.send', replace: 'connection.send' }],
    promise: 'a frame above the limit is dropped, harms no link, and the next one arrives',
    says: /the link is left in peace/,
  },
  {
    mistake: 'an empty frame is not sent',
    patches: [
      { file, find: 'if (bytes <= this.maxFrameBytes)', replace: 'if (bytes > 0 && bytes <= this.maxFrameBytes)' },
    ],
    promise: 'frames of every size arrive whole and equal, on both lanes and in both directions',
    says: /a frame of 0 bytes from a reaches b as control/,
  },
  {
    mistake: 'control goes over the connection of bulk',
    patches: [{ file, find: '?.lanes[lane].connection', replace: '?.lanes.bulk.connection' }],
    promise: 'a control frame overtakes a flood of bulk frames',
    says: /bulk frames arrived before the control frame/,
  },
  {
    mistake: 'send throws for a peer that it does not know',
    patches: [{ file, find: 'if (!connection) return', replace: "if (!connection) throw new Error('who is that?')" }],
    promise: 'frames to strangers, to oneself and to those not connected are dropped in silence',
    says: /send to nobody threw/,
  },
  {
    mistake: 'send waits',
    patches: [{ file, find: '  send(to, frame, lane) {', replace: '  async send(to, frame, lane) {' }],
    promise: 'setPeers may come before start, and send is silent',
    says: /send returned a promise/,
  },
  {
    mistake: 'frames for a peer that is not connected are kept for later',
    patches: [
      {
        file,
        find: 'if (!connection) return',
        replace: 'if (!connection) return void (this.#closing || setTimeout(() => this.send(to, frame, lane), 20))',
      },
    ],
    promise: 'frames to strangers, to oneself and to those not connected are dropped in silence',
    says: /a frame from before the connection arrived/,
  },
  {
    mistake: 'two that dial each other keep both connections',
    patches: [
      {
        file,
        find: 'if (former && this.#prefers(former, connection)) {\n      connection.destroy()\n      return\n    }',
        replace: '',
      },
      {
        file,
        find: '    former?.destroy()\n',
        replace: "    if (former) this.#receiver?.link(connection.peer, 'up')\n",
      },
    ],
    promise:
      'nodes that dial each other at the same moment end with one link, and nothing is left of it when both let go',
    says: /is up after (up|full)/,
  },
  {
    mistake: 'the first connection of a peer is kept, whatever its life',
    patches: [{ file, find: 'if (former && this.#prefers(former, connection))', replace: 'if (former)' }],
    promise: 'a new life of a peer takes over from the old one, of whose end nobody has heard',
    says: /never came true/,
  },
  {
    mistake: 'a dial that failed is not repeated',
    patches: [{ file, find: '      delete lane.timer\n      this.#dial(link)\n', replace: '' }],
    promise: 'an address where nobody listens is tried until somebody does',
    says: /all links are up; told were a: ; b: $/,
  },
  {
    mistake: 'setPeers drops nobody',
    patches: [{ file, find: 'if (connection?.dialled) connection.destroy()', replace: '' }],
    promise: 'setPeers drops those it no longer names and leaves the others in peace',
    says: /a is told that b is down/,
  },
  {
    mistake: 'setPeers dials everybody anew',
    patches: [{ file, find: ' || link.address === wanted.get(link.id)', replace: '' }],
    promise: 'setPeers again and again with the same peers changes nothing',
    says: /b down/,
  },
  {
    mistake: 'start swallows that the address is taken',
    patches: [{ file, find: "throw new RaftkitError('TRANSPORT_FAILED', `cannot listen", replace: 'return void (`' }],
    promise: 'a taken address is refused at start, and costs the owner nothing',
    says: /start at a taken address must reject TRANSPORT_FAILED, but resolved/,
  },
  {
    mistake: 'close resolves first and closes afterwards',
    patches: [
      {
        file,
        find: '    for (const connection of [...this.#connections]) connection.destroy()\n    this.#links.clear()\n',
        replace: `    const rest = [...this.#connections]
    setTimeout(() => {
      for (const connection of rest) connection.destroy()
    }, 100)
    return
`,
      },
      { file, find: '    this.#receiver = undefined\n', replace: '' },
    ],
    promise: 'closed means closed: nothing is heard, sending is silent, and the peer is told',
    says: /frame from b was called after close had resolved/,
  },
  {
    mistake: 'close waits for peers to hang up',
    patches: [{ file, find: 'for (const connection of [...this.#connections]) connection.destroy()', replace: '' }],
    promise: 'closed means closed: nothing is heard, sending is silent, and the peer is told',
    says: /still pending after 2500 ms: close of/,
  },
  {
    mistake: 'a timer of its own goes on after close',
    patches: [
      {
        file,
        find: '    await this.#listening\n',
        replace: '    await this.#listening\n    setInterval(() => {}, 1000)\n',
      },
    ],
    promise: 'after close nothing keeps the process alive, whatever its peers do',
    says: /the process ends by itself \(close has resolved\)/,
  },
]
