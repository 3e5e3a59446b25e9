import type { BftClient, CallOptions } from '@raftkit/bft-client'
import { decodeValue, encodeValue } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import { decodeResult, encodeCommand, type Node } from 'raftkit'
import { hashAfter, type LedgerEntry, type ledger, mostRead, type Tip } from './machine.ts'

/** A stretch of the ledger by number, both ends included. What was appended never changes, so all members that hold it answer alike. */
interface Range {
  readonly from: number
  readonly to: number
}

/** The member's side. Throws `MALFORMED`, and `NOT_READY` while it lacks some of it. */
export async function answerRead(node: Node<typeof ledger>, question: Uint8Array): Promise<Uint8Array> {
  const { from, to } = decodeValue(question) as Partial<Range>
  if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from! >= 1 && to! < from! + mostRead))
    throw new RaftkitError('MALFORMED', `a read is of 1 to ${mostRead} entries, by number`)
  const entries = await node.queries.range({ from: from!, to: to! }, { consistency: 'stale' })
  if (entries === null) throw new RaftkitError('NOT_READY', 'this member has not got so far', { retryable: true })
  return encodeValue(entries)
}

/** How far the ledger goes, in one order with all that was appended: what was acknowledged before is in it. */
export async function tip(client: BftClient, options?: CallOptions): Promise<Tip> {
  const { results } = await client.submit([encodeCommand('tip', undefined)], options)
  return decodeResult(results[0]!) as Tip
}

/** Pages of entries `from` … `to`. Each hangs on the one before by its hash; throws `DIVERGED` if one does not. */
export async function* read(
  client: BftClient,
  { from, to }: Range,
  options?: CallOptions,
): AsyncGenerator<LedgerEntry[]> {
  let before: string | undefined
  for (let first = from; first <= to; first += mostRead) {
    const last = Math.min(to, first + mostRead - 1)
    const page = decodeValue(await client.read(encodeValue({ from: first, to: last }), options)) as LedgerEntry[]
    for (const entry of page) {
      if (before !== undefined && hashAfter(before, entry) !== entry.hash)
        throw new RaftkitError('DIVERGED', `entry ${entry.number} does not follow from the one before it`)
      before = entry.hash
    }
    yield page
  }
}
