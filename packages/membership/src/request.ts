import { type NodeId, RaftkitError } from '@raftkit/contract'

/** Who comes: a node under the incarnation that it has now. Without an address, it dials the others. */
export interface Newcomer {
  readonly id: NodeId
  readonly incarnation: string
  readonly address?: string | undefined
}

/** May be asked for although too few members would be reachable afterwards. */
interface Forced {
  readonly force?: boolean | undefined
}

/** What jointConsensus is asked for: a plain value, since it is forwarded to the leader. */
export type MembershipRequest =
  /** A new member, or a learner, that is to vote: first `joining`, then promoted by itself once it has caught up. */
  | ({ readonly type: 'addVoter' } & Newcomer)
  | ({ readonly type: 'addLearner' } & Newcomer)
  /** A learner is to vote, once it has caught up. */
  | { readonly type: 'promote'; readonly id: NodeId }
  /** A voter becomes a learner. One that is joining stays a learner. */
  | ({ readonly type: 'demote'; readonly id: NodeId } & Forced)
  /** `removeVoter` refuses a learner. Removing a member that is joining calls off what it was to join for. */
  | ({ readonly type: 'remove' | 'removeVoter'; readonly id: NodeId } & Forced)
  /** `with` takes the place of `id`, in one step, once it has caught up. The ids may be the same: a wiped node under its new incarnation. */
  | ({ readonly type: 'replace'; readonly id: NodeId; readonly with: Newcomer } & Forced)
  /** Where to dial a member from now on. */
  | { readonly type: 'setAddress'; readonly id: NodeId; readonly address?: string | undefined }
  /** From any members to any others, in one step, once the new voters have caught up. A listed member may be named by its id alone. */
  | ({
      readonly type: 'change'
      readonly voters: readonly (NodeId | Newcomer)[]
      readonly learners?: readonly (NodeId | Newcomer)[] | undefined
    } & Forced)

const newcomerFields = ['id', 'incarnation', 'address']
const fields: Record<MembershipRequest['type'], readonly string[]> = {
  addVoter: newcomerFields,
  addLearner: newcomerFields,
  promote: ['id'],
  demote: ['id', 'force'],
  remove: ['id', 'force'],
  removeVoter: ['id', 'force'],
  replace: ['id', 'with', 'force'],
  setAddress: ['id', 'address'],
  change: ['voters', 'learners', 'force'],
}

/** The request, if it is one: it may come from another node, of another version. Throws `INVALID_OPTION`. */
export function checkRequest(request: unknown): MembershipRequest {
  if (!isObject(request)) throw invalid('a membership request is an object with a type')
  const { type } = request
  if (typeof type !== 'string' || !Object.hasOwn(fields, type))
    throw invalid(`a membership request has the type ${Object.keys(fields).join(', ')}; not ${show(type)}`)
  const known = fields[type as MembershipRequest['type']]
  checkFields(request, ['type', ...known], type)
  if (known.includes('id')) checkName(request.id, `${type}.id`)
  if (known.includes('incarnation')) checkName(request.incarnation, `${type}.incarnation`)
  checkAddress(request.address, `${type}.address`)
  if (request.force !== undefined && typeof request.force !== 'boolean')
    throw invalid(`${type}.force is true or false, not ${show(request.force)}`)
  if (type === 'replace') checkNewcomer(request.with, 'replace.with')
  if (type === 'change') checkLists(request)
  return request as unknown as MembershipRequest
}

function checkLists(request: Record<string, unknown>): void {
  const seen = new Set<string>()
  for (const field of ['voters', 'learners']) {
    const list = request[field] ?? (field === 'learners' ? [] : undefined)
    if (!Array.isArray(list)) throw invalid(`change.${field} is a list of ids and newcomers, not ${show(list)}`)
    list.forEach((item: unknown, i) => {
      const name = `change.${field}[${i}]`
      if (typeof item === 'string') checkName(item, name)
      else checkNewcomer(item, name)
      const id = typeof item === 'string' ? item : (item as Newcomer).id
      if (seen.has(id)) throw invalid(`change lists ${id} twice; name every member once, as a voter or as a learner`)
      seen.add(id)
    })
  }
}

function checkNewcomer(value: unknown, name: string): void {
  if (!isObject(value)) throw invalid(`${name} is { id, incarnation, address? }, not ${show(value)}`)
  checkFields(value, newcomerFields, name)
  checkName(value.id, `${name}.id`)
  checkName(value.incarnation, `${name}.incarnation`)
  checkAddress(value.address, `${name}.address`)
}

/** A misspelt `force` must not pass for none. */
function checkFields(value: object, known: readonly string[], name: string): void {
  for (const field of Object.keys(value))
    if (!known.includes(field)) throw invalid(`${name} has no field ${show(field)}; it has ${known.join(', ')}`)
}

function checkName(value: unknown, name: string): void {
  if (typeof value !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value))
    throw invalid(
      `${name} is 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit; not ${show(value)}`,
    )
}

function checkAddress(value: unknown, name: string): void {
  if (value !== undefined && (typeof value !== 'string' || !/^[!-~]{1,1024}$/.test(value)))
    throw invalid(`${name} is 1 to 1024 printable ASCII characters without spaces; not ${show(value)}`)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Of whatever it is, enough to recognise it. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  return Array.isArray(value) ? 'a list' : typeof value === 'object' && value !== null ? 'an object' : String(value)
}

function invalid(sentence: string): RaftkitError {
  return new RaftkitError('INVALID_OPTION', sentence, { outcome: 'refused' })
}
