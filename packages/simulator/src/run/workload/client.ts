import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { type ClientSession, clientSession, isRefusal, type Node } from 'raftkit'
import { type Operation, Violation } from '../../watcher.ts'
import type { Server } from '../../world/server.ts'
import type { Plan } from '../plan.ts'
import type { Run } from '../run.ts'
import { type Order, orders } from './operations.ts'
import type { ReadOutput, WriteInput, WriteOutput } from './registers.ts'

/** What a call came to, before anybody judged it. */
type Called = { readonly value: unknown } | { readonly error: unknown; readonly outcome?: 'refused' | 'unknown' }

/** A virtual client: one operation after the other, asked of any server that runs. */
export class Client {
  readonly name: string
  readonly #run: Run
  readonly #plan: Plan
  readonly #orders: (number: number) => Order | undefined
  readonly #session: ClientSession | undefined
  readonly #only: Server | undefined
  /** The value it saw last, by key: what a comparison expects. */
  readonly #seen = new Map<string, number>()
  /** Set while an operation is under way. */
  busy: Operation | undefined
  /** The number after the last order that it came to. */
  begun = 0
  #stopped = false

  /** `only`: every call goes to this server. */
  constructor(run: Run, name: string, only?: Server) {
    this.name = name
    this.#run = run
    this.#only = only
    this.#plan = run.plan
    this.#orders = orders(run.plan, name)
    if (run.plan.workload.sessions === 'client') this.#session = this.#ownSession()
  }

  async start(): Promise<void> {
    const { world, plan } = this.#run
    for (let number = 0; !this.#stopped && number < plan.workload.operations; number++) {
      const order = this.#orders(number)
      if (!order) continue
      this.begun = number + 1
      if (order.pause > 0) await world.sleep(order.pause)
      while (this.#run.quiet && !this.#stopped) await world.sleep(plan.node.timing.electionTimeout! / 4)
      if (this.#stopped) return
      const server = this.#choose(order.where, order.leader)
      const operation = server && (await this.#perform(order, server))
      // Who is turned away at once comes back a little later.
      if (!operation || (operation.outcome !== 'done' && operation.ended === operation.begun))
        await world.sleep(plan.node.timing.electionTimeout! / 20)
    }
  }

  /** Begins nothing any more; what is under way goes on to its end. */
  stop(): void {
    this.#stopped = true
  }

  #choose(where: number, leader: boolean): Server | undefined {
    const { world } = this.#run
    if (this.#only) return this.#only
    if (leader && world.leader?.state === 'up') return world.leader
    const up = this.#run.servers.filter((server) => server.state === 'up')
    return up[Math.floor(where * up.length)]
  }

  async #perform(order: Order, server: Server): Promise<Operation> {
    const { kind, key } = order
    if (kind === 'get' || kind === 'lease' || kind === 'stale') return this.read(server, key, kind, order)
    const input = {
      id: this.#run.nextOperation(),
      kind: kind === 'once' ? ('put' as const) : kind,
      key,
      expect: kind === 'fill' ? order.size : (this.#seen.get(key) ?? 0),
    }
    return this.write(server, input, order)
  }

  /** Resolves once it has ended. */
  async write(server: Server, input: WriteInput, order: Partial<Order> = {}): Promise<Operation> {
    const { ledger } = this.#run
    const operation = this.#begin(server, input.id, order.kind ?? input.kind, input)
    const given = this.#giveUp(order)
    const options = { ...given.options, ...(order.kind === 'once' ? { retry: false } : {}) }
    const called = this.#session
      ? await settled(this.#session.call('write', input, options))
      : await callOn(server, (node) => commandsOf(node).write!(input, options))
    given.end()
    if ('value' in called) {
      const output = called.value as WriteOutput
      this.#end(operation, 'done', output, () => ledger.wrote(operation, output))
      if (output.changed) this.#seen.set(input.key, input.kind === 'erase' ? 0 : input.id)
      else this.#seen.set(input.key, output.before)
      return operation
    }
    const { error } = called
    if (isRefusal(error)) {
      const output = error.details as WriteOutput
      this.#end(operation, 'done', output, () => {
        if (input.kind !== 'refuse') throw new Violation('honest refusal', `operation ${input.id} never refuses`)
        ledger.wrote(operation, output)
      })
      return operation
    }
    const outcome = called.outcome ?? outcomeOf(error)
    this.#end(operation, outcome ?? 'unknown', codeOf(error), () => {
      if (outcome === undefined)
        throw new Violation('honest outcome', `a command rejected without an outcome: ${String(error)}`, { operation })
      if (outcome === 'refused') ledger.refused(operation)
    })
    return operation
  }

  async read(
    server: Server,
    key: string,
    kind: 'get' | 'lease' | 'stale',
    order: Partial<Order> = {},
  ): Promise<Operation> {
    const operation = this.#begin(server, this.#run.nextOperation(), kind, { key })
    const consistency = kind === 'get' ? 'linearizable' : kind
    const given = this.#giveUp(order)
    const options = { ...given.options, consistency } as const
    const called = await callOn(server, (node) =>
      this.#session ? node.query({ name: 'read', input: key }, options) : queriesOf(node).read!(key, options),
    )
    given.end()
    if ('value' in called) {
      const output = called.value as ReadOutput
      this.#seen.set(key, output.value)
      this.#end(operation, 'done', output, () => this.#run.ledger.read(operation, key, output, kind !== 'stale'))
      return operation
    }
    this.#end(operation, called.outcome ?? outcomeOf(called.error) ?? 'unknown', codeOf(called.error), () => undefined)
    return operation
  }

  #begin(server: Server, id: number, kind: string, input: unknown): Operation {
    const { world, ledger } = this.#run
    const operation: Operation = { id, client: this.name, node: server.id, kind, input, begun: world.now }
    this.busy = operation
    ledger.began(operation)
    this.#run.history.began(operation)
    world.watchers.operation(operation)
    return operation
  }

  #end(operation: Operation, outcome: NonNullable<Operation['outcome']>, output: unknown, judge: () => void): void {
    const { world, history } = this.#run
    this.busy = undefined
    operation.ended = world.now
    operation.outcome = outcome
    operation.output = output
    history.ended(operation)
    world.watchers.operation(operation)
    this.#run.count(`${operation.kind} ${outcome}`)
    this.#run.judge(judge)
  }

  #giveUp({ abortAfter }: Partial<Order>): { readonly options: { readonly signal?: AbortSignal }; end(): void } {
    if (abortAfter === undefined) return { options: {}, end: () => undefined }
    const controller = new AbortController()
    const end = this.#run.world.after(abortAfter, () => controller.abort('the client has had enough'))
    this.#run.count('abort')
    return { options: { signal: controller.signal }, end }
  }

  /** Outlives the servers it talks to: every attempt goes to one that runs. */
  #ownSession(): ClientSession {
    const { plan, random } = this.#run
    const chance = random.split(`session ${this.name}`)
    const { timeout, sessions } = plan.node
    return clientSession({
      environment: this.#run.environment(this.name),
      timeout,
      attemptTimeout: sessions.attemptTimeout!,
      maxSessions: sessions.maxSessions!,
      propose: async (data, signal) => {
        const server = this.#choose(chance.next(), chance.chance(0.5))
        if (!server) throw new RaftkitError('NO_LEADER', 'no server runs', { outcome: 'refused', retryable: true })
        const called = await callOn(server, (node) => node.propose(data, { signal, timeout: 10 * timeout }))
        if ('value' in called) return (called.value as { result: Uint8Array }).result
        if (called.outcome !== undefined)
          throw new RaftkitError(called.outcome === 'refused' ? 'NO_LEADER' : 'UNKNOWN_OUTCOME', 'the server is gone', {
            outcome: called.outcome,
            retryable: true,
            cause: called.error,
          })
        throw called.error
      },
    })
  }
}

type Calls = Readonly<Record<string, (input: unknown, options?: object) => Promise<unknown>>>
const commandsOf = (node: Node): Calls => node.commands as Calls
const queriesOf = (node: Node): Calls => node.queries as Calls

/** `outcome` is set when the server, not the node's answer, ended the call. */
async function callOn(server: Server, run: (node: Node) => Promise<unknown>): Promise<Called> {
  const called = await server.call(run)
  // A refusal of the machine is an answer, too.
  if (called.outcome === 'done') return isRefusal(called.value) ? { error: called.value } : { value: called.value }
  // The node's own word counts; without one, the process was gone.
  return isRaftkitError(called.error) ? { error: called.error } : called
}

const settled = (answer: Promise<unknown>): Promise<Called> =>
  answer.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )

const outcomeOf = (error: unknown): 'refused' | 'unknown' | undefined =>
  isRaftkitError(error) ? error.outcome : undefined
const codeOf = (error: unknown): string => (isRaftkitError(error) ? error.code : String(error))
