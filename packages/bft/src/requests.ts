import { weighRival } from './accusing.ts'
import type { Node } from './branches.ts'
import type { Entry } from './entry.ts'
import { configurationChecks, flawOfConfiguration } from './epochs.ts'
import { isEqual } from './hash.ts'
import { itemHash, requestCheck, requestIn } from './request.ts'
import type { Server } from './server.ts'
import type { Check } from './statement.ts'

/** Members of the epoch may always. */
export const mayAsk = ({ settings, members }: Server, client: Uint8Array): boolean =>
  settings.admits?.(client) !== false || members.list.some(({ key }) => isEqual(key, client))

/** What cannot run, or waits already, is not worth a signature's time; nor is anything while there is no room. */
export function admitRequest(server: Server, bytes: Uint8Array): { bytes: Uint8Array; check: Check } | undefined {
  const { pool, used, settings } = server
  const request = bytes.length > settings.batchBytes ? undefined : requestIn(bytes)
  if (request === undefined || !pool.hasRoom(request, bytes.length)) return undefined
  if (pool.has(itemHash(settings.digest, bytes)) || !used.isFresh(request)) return undefined
  if (!mayAsk(server, request.client)) return undefined
  const rival = pool.rival(request)
  if (rival !== undefined) {
    weighRival(server, bytes, request, rival.bytes)
    return undefined
  }
  return { bytes, check: requestCheck(settings.digest, server.genesis, request) }
}

/** Their signatures hold. */
export function onRequests(server: Server, requests: readonly Uint8Array[]): void {
  const { pool, used, now } = server
  for (const bytes of requests) {
    const request = requestIn(bytes)!
    // Time has passed: it may have been executed, or another one came first.
    if (!used.isFresh(request) || !pool.hasRoom(request, bytes.length)) continue
    const rival = pool.rival(request)
    if (rival !== undefined) {
      weighRival(server, bytes, request, rival.bytes)
      continue
    }
    if (!server.isBusy) server.since = now
    const hash = itemHash(server.settings.digest, bytes)
    pool.add({ bytes, hash, request, since: now, forwarded: undefined })
  }
}

/** Signatures of an entry's requests that this member has not verified yet. */
export function requestChecks(
  { settings, genesis, verified, pool, members }: Server,
  { header, items }: Entry,
): Check[] {
  if (header.kind === 'config' && items.length === 1) {
    const [item] = items as [Uint8Array]
    if (verified.has(itemHash(settings.digest, item))) return []
    const isFlawed = flawOfConfiguration(settings.digest, members, item) !== undefined
    return isFlawed ? [] : configurationChecks(settings.digest, members, item)
  }
  if (header.kind !== 'data') return []
  return items.flatMap((item) => {
    const hash = itemHash(settings.digest, item)
    const request = verified.has(hash) || pool.has(hash) ? undefined : requestIn(item)
    return request ? [requestCheck(settings.digest, genesis, request)] : []
  })
}

/**
 * The part of external validity (V) that needs what was executed: no number runs twice, neither in what is committed nor before it on this
 * branch, and whoever asks may. `nodes`: from behind what is committed on, in order.
 */
export function flawOfRequests(server: Server, nodes: readonly Node[]): string | undefined {
  const { settings, accusations, members } = server
  for (const { hash, entry } of nodes) {
    if (entry.header.kind === 'noop') continue
    if (entry.header.kind === 'evidence' && accusations.proved.has(itemHash(settings.digest, entry.items[0]!))) continue
    if (entry.header.kind === 'config' && flawOfConfiguration(settings.digest, members, entry.items[0]!) === undefined)
      continue
    if (entry.header.kind !== 'data') return `a ${entry.header.kind} entry that proves nothing`
    if (server.usedAt(hash) === undefined) return 'a request is in it that was executed before'
    if (entry.items.some((item) => !mayAsk(server, requestIn(item)!.client)))
      return 'a request is of nobody who may ask'
  }
  return undefined
}
