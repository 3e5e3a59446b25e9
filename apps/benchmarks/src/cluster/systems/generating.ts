import { startCase } from '../../harness/case.ts'
import type { Sample } from '../../harness/part.ts'
import type { Watched } from '../load/usage.ts'
import type { GeneratorRequest } from '../wire/generator.ts'
import { valueBytes } from '../wire/keys.ts'
import type { WirePlan } from '../wire/wire.ts'
import { longest } from './embedded.ts'
import { ask, shape, started, type Work } from './system.ts'

/** The generator's process, as the command sees it. */
export class Generating {
  readonly #kind: WirePlan['kind']
  readonly #helper: ReturnType<typeof startCase>

  private constructor(kind: WirePlan['kind'], helper: ReturnType<typeof startCase>) {
    this.#kind = kind
    this.#helper = helper
  }

  static async start(kind: WirePlan['kind'], parent: string): Promise<Generating> {
    const about = { part: 'cluster', name: 'generator', input: null, seconds: longest, warmUp: 0, quick: false, parent }
    const generating = new Generating(kind, startCase(about))
    await started(generating.#helper)
    return generating
  }

  async fill(port: number, count: number): Promise<void> {
    const plan = this.#plan(port, { request: 'put', outstanding: 64, keys: count })
    const request: GeneratorRequest = { type: 'fill', plan: { ...plan, inOrder: true }, count }
    await ask(this.#helper, request)
  }

  run(port: number, work: Work, watched: Watched, edge?: (edge: 'begin' | 'end') => void): Promise<Sample> {
    const request: GeneratorRequest = { type: 'run', plan: this.#plan(port, work), load: work, watched }
    return ask<Sample>(this.#helper, request, edge)
  }

  stop(): void {
    this.#helper.kill()
  }

  #plan(
    port: number,
    work: Pick<Work, 'request' | 'consistency' | 'outstanding' | 'keys' | 'connections' | 'depth'>,
  ): WirePlan {
    const { request, consistency = 'linearizable', outstanding, keys } = work
    const { connections = shape(this.#kind, outstanding), depth = 1 } = work
    return { kind: this.#kind, port, request, consistency, connections, depth, keys, valueBytes }
  }
}
