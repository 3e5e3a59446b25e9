import { table } from '../../src/client/table.ts'
import type { Protection } from './cases.ts'

/** One refusal that held: both sides said why, no frame was handed over, no term changed, and the three served. */
export interface Refused {
  readonly transport: string
  readonly protection: Protection
  readonly wrong: string
  readonly dialler: string
  readonly here: string
  readonly there: string
}

/** One line per case, who dials, and what is said. */
export class Matrix {
  readonly #rows: Refused[] = []

  add(row: Refused): void {
    this.#rows.push(row)
  }

  toString(): string {
    const transports = [...new Set(this.#rows.map(({ transport }) => transport))]
    const lines = new Map<string, Refused[]>()
    for (const row of this.#rows) {
      const { wrong, dialler, here, there } = row
      const line = JSON.stringify([wrong, dialler, here, there])
      lines.set(line, [...(lines.get(line) ?? []), row])
    }
    const rows = [...lines.values()].map((same) => {
      const { wrong, dialler, here, there } = same[0]!
      const under = (transport: string): string =>
        same
          .filter((row) => row.transport === transport)
          .map(({ protection }) => protection.replace('tls and secret', 'both'))
          .join(' ')
      return [wrong, dialler, ...transports.map(under), brief(here), brief(there)]
    })
    const headings = ['what is wrong', 'who dials', ...transports, 'a member says', 'the stranger says']
    const held = `${this.#rows.length} refusals: frames handed over 0, links up 0, terms changed 0, all three served after each`
    return `${held}\n${table(headings, rows)}`
  }
}

const brief = (sentence: string): string =>
  sentence.replace('REFUSED: ', '').replace(/^this node was turned down: /, '(told:) ')
