import type { KeyValueOperation } from '@raftkit/linearizability'
import type { Change } from '../clients/watcher.ts'

export interface WriteReport {
  /** Acknowledged, and not in the log of changes under the revision that was told, or not in effect on some member at the end. */
  readonly lost: number
  /** An item that was written more than once. */
  readonly duplicated: number
  /** In the log although it was refused, or never asked for. */
  readonly phantom: number
  readonly findings: readonly string[]
  /** The operations that got into the log, each with its index there. */
  readonly placed: readonly KeyValueOperation[]
}

/** What a write leaves in the log of changes. */
function trace({ key, input }: KeyValueOperation): Pick<Change, 'type' | 'key' | 'value'> | undefined {
  if (input.op === 'put') return { type: 'put', key, value: input.value as string }
  if (input.op === 'cas') return { type: 'put', key, value: input.to as string }
  if (input.op === 'append') return { type: 'append', key, value: input.text }
  if (input.op === 'delete') return { type: 'delete', key }
  return
}

/** Whether it is no change: a read, or a condition that did not hold. */
const isQuiet = ({ input, output, ok }: KeyValueOperation): boolean =>
  input.op === 'get' || (ok === true && output === false)

/**
 * Every item is written by one operation, so each change in the log has one author, and each acknowledged write one change. Deletions
 * carry no item: they are matched by revision, or by key if their outcome is unknown, and then in the order of their calls: whoever
 * called first may have deleted at any place where another may have.
 */
export function judgeWrites(operations: readonly KeyValueOperation[], log: ReadonlyMap<number, Change>): WriteReport {
  const findings: string[] = []
  const placed: KeyValueOperation[] = []
  const authors = new Map<string, KeyValueOperation>()
  const deletes = new Map<number, KeyValueOperation>()
  const doubtful = new Map<string, KeyValueOperation[]>()
  let lost = 0
  let duplicated = 0
  let phantom = 0
  for (const operation of operations) {
    const { input, ok, key, index } = operation
    if (isQuiet(operation)) continue
    const left = trace(operation)!
    if (left.value !== undefined) authors.set(left.value, operation)
    else if (ok === true) deletes.set(index!, operation)
    else if (ok === 'unknown') doubtful.set(key, [...(doubtful.get(key) ?? []), operation])
    if (ok !== true) continue
    const change = log.get(index!)
    if (change?.type === left.type && change.key === left.key && change.value === left.value) continue
    lost++
    findings.push(`acknowledged, but revision ${index} is ${JSON.stringify(change)}: ${key} ${JSON.stringify(input)}`)
  }
  for (const waiting of doubtful.values()) waiting.sort((a, b) => a.call - b.call)
  const seen = new Map<string, number>()
  for (const [revision, change] of [...log].sort(([a], [b]) => a - b)) {
    const author =
      change.value === undefined
        ? (deletes.get(revision) ?? doubtful.get(change.key)?.shift())
        : authors.get(change.value)
    if (author === undefined || author.ok === false) {
      phantom++
      findings.push(`${author ? 'refused, and done all the same' : 'nobody asked for it'}: ${JSON.stringify(change)}`)
      continue
    }
    if (change.value !== undefined) {
      const before = seen.get(change.value)
      if (before !== undefined) {
        duplicated++
        findings.push(`${change.value} was written at ${before} and at ${revision}`)
        continue
      }
      seen.set(change.value, revision)
    }
    placed.push({ ...author, index: revision })
  }
  return { lost, duplicated, phantom, findings: findings.slice(0, 20), placed }
}

export interface Held {
  readonly value: string
  readonly revision: number
}

/** What the keys hold after all of these changes. */
export function replay(log: ReadonlyMap<number, Change>): Map<string, Held> {
  const state = new Map<string, Held>()
  for (const [revision, { type, key, value }] of [...log].sort(([a], [b]) => a - b)) {
    if (type === 'delete') state.delete(key)
    else if (type === 'put') state.set(key, { value: value!, revision })
    else state.set(key, { value: (state.get(key)?.value ?? '') + value, revision })
  }
  return state
}

/** Keys that a member does not hold as they should be, in words. */
export function differences(
  member: string,
  expected: ReadonlyMap<string, Held>,
  found: ReadonlyMap<string, Held>,
): string[] {
  const wrong: string[] = []
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const [want, have] = [expected.get(key), found.get(key)]
    if (want?.value === have?.value && want?.revision === have?.revision) continue
    wrong.push(`${member} holds ${JSON.stringify(have)} under ${key}, and not ${JSON.stringify(want)}`)
  }
  return wrong
}
