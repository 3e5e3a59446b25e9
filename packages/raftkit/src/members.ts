import { copyValue } from '@raftkit/bytes'
import {
  type Config,
  type Environment,
  type ErrorCode,
  type Index,
  type Member,
  type NodeId,
  type Peer,
  RaftkitError,
  type Role,
  type Status,
} from '@raftkit/contract'
import { type CallOptions, ofInput } from './calls.ts'
import type { EventHub } from './events.ts'
import type { Host } from './host.ts'
import { isName, nameRule } from './names.ts'
import type { Ending } from './pending.ts'
import type { Replica } from './replica.ts'

export interface ChangeOptions extends CallOptions {
  /** Called with every configuration that is committed on the way, the last one among them. */
  readonly onProgress?: (config: Config) => void
}

export interface RemoveOptions extends ChangeOptions {
  /** Also if those that stay can not form a quorum right now. */
  readonly force?: boolean
}

/** A node under the incarnation it showed. Without an address, it dials the others. */
export interface Newcomer {
  readonly id: NodeId
  readonly address?: string
  readonly incarnation: string
}

/** What the calls of `Members` ask of the membership policy. */
export type MembershipRequest =
  | ({ readonly type: 'addVoter' | 'addLearner' } & Newcomer)
  | { readonly type: 'remove' | 'demote'; readonly id: NodeId; readonly force?: boolean }
  | { readonly type: 'promote'; readonly id: NodeId }
  /** `id` goes, `with` comes in its place; both may have the same id. */
  | { readonly type: 'replace'; readonly id: NodeId; readonly with: Newcomer; readonly force?: boolean }
  | { readonly type: 'setAddress'; readonly id: NodeId; readonly address: string }

/**
 * Changes of the set of members, from any node. Every call resolves with the final configuration, once it is committed: the joint one
 * left, the newcomer promoted. Giving up the waiting does not stop a change that was placed: whichever leader is there finishes it.
 *
 * Rejects `MEMBERSHIP_FIXED` (no membership policy), `CHANGE_IN_FLIGHT`, `NOT_READY`, `NOT_A_MEMBER`, `WOULD_LOSE_QUORUM`, `REFUSED`,
 * `TIMEOUT` or `ABORTED` (see `outcome`), `TRANSPORT_FAILED` (the newcomer could not be reached; nothing was changed).
 */
export interface Members {
  /** Of the effective configuration, which may not be committed yet. */
  list(): readonly Member[]
  /** Dials `id`, which must run with `join: true`, adds it as a learner, and promotes it once it has caught up. */
  addVoter(id: NodeId, address: string, options?: ChangeOptions): Promise<Config>
  /** A member that gets the log and never votes. Without an address it is one that dials the others: a page in a browser, say. */
  addLearner(id: NodeId, address?: string, options?: ChangeOptions): Promise<Config>
  remove(id: NodeId, options?: RemoveOptions): Promise<Config>
  /** A learner becomes a voter once it has caught up. */
  promote(id: NodeId, options?: ChangeOptions): Promise<Config>
  /** A voter becomes a learner. */
  demote(id: NodeId, options?: RemoveOptions): Promise<Config>
  /** One comes, one goes, in one change. The same id again: a wiped node that comes back under a new incarnation. */
  replace(
    oldId: NodeId,
    by: { readonly id: NodeId; readonly address: string },
    options?: RemoveOptions,
  ): Promise<Config>
  /** Where others dial a member from now on. */
  setAddress(id: NodeId, address: string, options?: ChangeOptions): Promise<Config>
  /**
   * Any request that the membership policy understands; a plain value. Where members sign, it is a configuration as its operators signed it
   * (bytes, `encodeConfiguration` of `@raftkit/bft`), and every other call here is `REFUSED`.
   */
  change(request: unknown, options?: ChangeOptions): Promise<Config>
}

/** Members of any other role are on their way: the leader moves them on by itself. */
const settled: ReadonlySet<Role> = new Set<Role>(['voter', 'learner'])
const finished = (config: Config): boolean => config.members.every(({ role }) => settled.has(role))

/** The last configuration a removed node knew, as it must look without it. */
function without({ id, incarnation, config }: Status): Config {
  const stay = config.members.filter((member) => !(member.id === id && member.incarnation === incarnation))
  return { ...config, members: stay }
}

export interface MembersParts {
  readonly host: Host
  readonly replica: Replica
  readonly hub: EventHub
  readonly environment: Environment
  readonly timeout: number
  /** False: the node was made without a policy. */
  readonly changeable: boolean
  /** Members change as the protocol says, by what operators signed. */
  readonly signs: boolean
}

export function members(parts: MembersParts): Members {
  const { host, replica, hub, environment, timeout: defaultTimeout, changeable, signs } = parts

  async function change(given: unknown, options: ChangeOptions = {}): Promise<Config> {
    if (!changeable && !signs)
      throw new RaftkitError(
        'MEMBERSHIP_FIXED',
        'this node was created without a membership policy; give every node membership: jointConsensus()',
        { outcome: 'refused' },
      )
    const request = ofInput('change', () => copyValue(given))
    const { signal, timeout = defaultTimeout, onProgress } = options
    // Of the configuration that was asked for, once it is committed; what the leader does about it by itself follows, entry by entry.
    let asked = Number.POSITIVE_INFINITY
    const seen = (config: Config, index: Index, ending: Ending<Config>): void => {
      if (index < asked) return
      onProgress?.(config)
      if (finished(config)) ending.done(config)
    }
    // Whoever is removed is told no more than that: the last configuration never reaches it.
    const left = (ending: Ending<Config>): void => {
      // Such a protocol says in the same turn what became of the change.
      if (signs) return
      const status = replica.status()
      const { type, id } = (request ?? {}) as Partial<Extract<MembershipRequest, { readonly type: 'remove' }>>
      if (id === status.id && (type === 'remove' || (type as string) === 'replace')) ending.done(without(status))
      else ending.fail(new RaftkitError('UNKNOWN_OUTCOME', 'this node was removed meanwhile', { outcome: 'unknown' }))
    }
    let unobserve: (() => void) | undefined
    return replica.pending.call<Config>(
      {
        effect: true,
        bytes: 0,
        event: (id, time) => ({ type: 'change', id, request, time }),
        opened(ending) {
          unobserve = hub.observe((event) => {
            if (event.group !== replica.group) return
            if (event.type === 'configuration' && event.committed) seen(event.config, event.index, ending)
            else if (event.type === 'removed') left(ending)
          })
        },
        ended: () => unobserve?.(),
        accept: (answer, ending) => {
          if (answer.type !== 'committed') return
          asked = answer.index
          const { config, configIndex, configCommitted } = replica.status()
          if (configCommitted) seen(config, configIndex, ending)
        },
      },
      { timeout, ...(signal ? { signal } : {}) },
    )
  }

  /** Dials `id`, or waits for it to dial us, to learn under which incarnation it runs, and stays connected while `then` makes a member of it. */
  async function met(
    { id, address }: { readonly id: NodeId; readonly address: string | undefined },
    options: CallOptions,
    then: (newcomer: Newcomer) => Promise<Config>,
    mayDialUs = false,
  ): Promise<Config> {
    if (!isName(id)) throw new RaftkitError('INVALID_OPTION', `a member's id is ${nameRule}`)
    if (!(mayDialUs && address === undefined) && (typeof address !== 'string' || address === ''))
      throw new RaftkitError('INVALID_OPTION', `say where to dial ${id}: host:port`)
    const newcomer: Peer = address === undefined ? { id } : { id, address }
    const endings: (() => void)[] = []
    try {
      const incarnation = await new Promise<string>((resolve, reject) => {
        const fail = (code: ErrorCode, sentence: string, cause?: unknown): void =>
          reject(
            new RaftkitError(code, `${sentence}; nothing was changed`, { outcome: 'refused', retryable: true, cause }),
          )
        const { signal, timeout = defaultTimeout } = options
        const abort = (): void => fail('ABORTED', 'the caller gave up waiting', signal?.reason)
        if (signal?.aborted) return abort()
        signal?.addEventListener('abort', abort)
        const late = (): void =>
          fail(
            'TRANSPORT_FAILED',
            address === undefined
              ? `${id} did not dial this node: start it with join: true, and this node among its members`
              : `${id} did not answer at ${address}: start it with join: true where it can be dialled`,
          )
        endings.push(
          () => signal?.removeEventListener('abort', abort),
          environment.at(environment.now() + Math.min(timeout, dialTimeout), late),
          hub.observe(({ type }) => {
            if (type === 'closed' || type === 'stopped') fail('CLOSED', 'this node was closed')
          }),
          host.meet(newcomer, (hello) => resolve(hello.incarnation)),
        )
      })
      return await then({ ...newcomer, incarnation })
    } finally {
      for (const end of endings) end()
    }
  }

  const request = (request: MembershipRequest, options?: ChangeOptions): Promise<Config> => change(request, options)

  return {
    list: () => replica.status().config.members,
    change,
    addVoter: (id, address, options = {}) =>
      met({ id, address }, options, (newcomer) => request({ type: 'addVoter', ...newcomer }, options)),
    addLearner: (id, address, options = {}) =>
      met({ id, address }, options, (newcomer) => request({ type: 'addLearner', ...newcomer }, options), true),
    remove: (id, { force, ...options } = {}) => request({ type: 'remove', id, ...forced(force) }, options),
    promote: (id, options) => request({ type: 'promote', id }, options),
    demote: (id, { force, ...options } = {}) => request({ type: 'demote', id, ...forced(force) }, options),
    setAddress: (id, address, options) => request({ type: 'setAddress', id, address }, options),
    replace: (id, by, { force, ...options } = {}) =>
      met(by, options, (newcomer) => request({ type: 'replace', id, with: newcomer, ...forced(force) }, options)),
  }
}

const forced = (force: boolean | undefined): { force?: true } => (force ? { force: true } : {})

/** How long a newcomer is dialled, in milliseconds, within the timeout of the call. */
const dialTimeout = 10_000
