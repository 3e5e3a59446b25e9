import type { CaseContext } from '../../harness/case.ts'
import type { Sample } from '../../harness/part.ts'
import { fill, type Load } from '../load/drive.ts'
import { measured } from '../load/measured.ts'
import type { Watched } from '../load/usage.ts'
import { answer } from '../systems/system.ts'
import { grpcWire } from './grpc.ts'
import { httpWire } from './http.ts'
import type { Wire, WirePlan } from './wire.ts'

export type GeneratorRequest =
  | { readonly type: 'fill'; readonly plan: WirePlan; readonly count: number }
  | { readonly type: 'run'; readonly plan: WirePlan; readonly load: Load; readonly watched: Watched }

/** The program that puts servers under load, the same for all of them. Its own processor time is part of the result. */
export async function generator(_: null, context: CaseContext): Promise<Sample> {
  context.tell({ type: 'answer', answer: null })
  return answer<GeneratorRequest>(context, async (request) => {
    const { plan } = request
    const wire: Wire = await (plan.kind === 'grpc' ? grpcWire : httpWire)(plan)
    try {
      if (request.type === 'fill') return await fill(wire, request.count, plan.connections * plan.depth)
      return await measured(wire, request.load, request.watched, (edge) => context.tell({ type: 'edge', edge }))
    } finally {
      wire.close()
    }
  })
}
