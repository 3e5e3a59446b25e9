import { Invariant } from './invariant.ts'
import type { View } from './view.ts'

export class MemoryIsBounded extends Invariant {
  readonly name = 'memory is bounded'
  readonly says =
    'What is in flight to a peer stays within its window and one message more, each count of it is exact, and records are kept in memory only as far as the cache allows or they are still needed.'
  readonly source = 'design §5; hazards R15, T7'
  #turns = 0

  took(view: View): void {
    const { raft } = view
    const { role, settings, log } = raft
    if (role.type === 'leader') {
      for (const [key, { inflight, inflightBytes, match, next }] of role.progress) {
        if (inflight.length > settings.inflightMessages)
          this.broken(
            `${view.key} has ${inflight.length} messages in flight to ${key}; ${settings.inflightMessages} are allowed`,
          )
        if (inflightBytes > settings.inflightBytes + settings.maxMessageBytes)
          this.broken(
            `${view.key} has ${inflightBytes} bytes in flight to ${key}; ${settings.inflightBytes} are allowed`,
          )
        if (!(match >= 0 && match < next))
          this.broken(`${view.key} sends ${key} next ${next}, which holds up to ${match}`)
      }
    }
    // The sums over windows and cache cost more, and are wrong for good once they are wrong.
    if (++this.#turns % 64 !== 0) return
    if (role.type === 'leader') {
      for (const [key, { inflight, inflightBytes }] of role.progress) {
        let bytes = 0
        for (const each of inflight) bytes += each.bytes
        if (bytes !== inflightBytes)
          this.broken(`${view.key} counts ${inflightBytes} bytes in flight to ${key}; it is ${bytes}`)
      }
    }
    if (log.cachedBytes <= settings.cacheBytes) return
    // Beyond the cache's size only what is not applied yet, in whole pieces: the piece it begins in is no older than the last handed out.
    if (log.cachedFrom + piece < raft.handed)
      this.broken(
        `${view.key} keeps ${log.cachedBytes} bytes of records in memory, from ${log.cachedFrom} on; it has applied up to ${raft.handed}`,
      )
  }
}

/** Records that one message or one turn may bring at most, by a wide margin. */
const piece = 100_000
