import { compare, row, type Series } from '../harness/pairs.ts'
import type { Figure, Part } from '../harness/part.ts'
import { answer, echo } from './echo.ts'
import { adapterKinds, type Kind, kinds } from './wires.ts'

export const transport: Part = {
  name: 'transport',
  answers: 'how many messages a second go to another process and back, beside a socket that echoes the same bytes?',
  seconds: 2,
  cases: { echo, answer },
  async run(bench) {
    const batches = bench.quick ? [128] : [1, 16, 128, 1024]
    const found: Series[] = []
    for (const batch of batches)
      found.push(
        ...(await bench.interleave(
          kinds.map((kind) => ({ key: { batch, kind }, case: 'echo', input: { batch, kind } })),
        )),
      )
    const of = (kind: Kind, batch: number) => found.find(({ key }) => key.kind === kind && key.batch === batch)!
    return {
      tables: [
        {
          name: 'echo',
          title: 'Messages of 256 B to another process and back, so many per turn, two such batches on their way',
          columns: [
            { field: 'batch', title: 'batch' },
            { field: 'kind', title: 'by' },
            { field: 'perSecond', title: 'messages/s' },
            { field: 'cpuUs', title: 'CPU-µs per message, both ends' },
          ],
          rows: found.map(row),
        },
      ],
      figures: batches.flatMap((batch) =>
        adapterKinds.flatMap((adapter) => [
          ...(['raw socket', 'raw socket, by message'] as const).flatMap((raw) =>
            figures(of(adapter, batch), of(raw, batch), adapter, raw, batch),
          ),
          // What TLS leaves, and what is ours of it.
          ...(['raw TLS socket, by message', adapter] as const).flatMap((beside) =>
            figures(of(`${adapter}+tls`, batch), of(beside, batch), `${adapter}+tls`, beside, batch),
          ),
        ]),
      ),
      charts: [
        {
          name: 'transport-echo',
          title: 'Messages of 256 B to another process and back',
          unit: 'messages/s',
          scale: 'log',
          groups: batches.map((batch) => `batch ${batch}`),
          series: kinds.map((kind) => ({
            name: kind,
            values: batches.map((batch) => row(of(kind, batch)).perSecond as number),
          })),
        },
      ],
      notes: [
        '`raw socket` has no messages: it writes back what it read, in one write, without a look at it. `raw socket, by message` cuts the same bytes into messages of 256 B and writes each by itself, corked per turn: what every transport has to do at least.',
        '`+tls` is mutual TLS 1.3, as all transports have it; `raw TLS socket, by message` is the same without a transport. Each connection stands when measuring begins: no handshake is in the figures.',
        'Two processes on two processors: the rate is that of the slower end, the CPU-µs are those of both.',
      ],
    }
  },
}

function figures(ours: Series, theirs: Series, kind: Kind, beside: Kind, batch: number): Figure[] {
  const point = { at: `batch ${batch}`, beside, unit: '×' }
  const barred = kind === 'transport-tcp' && beside === 'raw socket, by message' && batch > 1
  return [
    {
      measure: `${kind}, messages/s of 256 B`,
      ...point,
      ...compare(ours, theirs, 'perSecond'),
      ...(barred && { must: { atLeast: 0.7 } }),
    },
    { measure: `${kind}, messages of 256 B per CPU-second`, ...point, ...compare(theirs, ours, 'cpuUs') },
  ]
}
