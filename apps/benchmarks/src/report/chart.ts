import { scaleLinear, scaleLog } from 'd3-scale'
import type { Chart } from '../harness/part.ts'
import { number } from '../harness/table.ts'

const width = 860
const labels = 270
const values = 90
const line = 20
const heading = 30
const top = 62
const left = labels + 12
const right = width - values

/** Dark enough on white and light enough on black to be told apart on both, and by those who see few colours (Okabe and Ito). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b08a00', '#56b4e9', '#7f7f7f', '#8c6bb1']

/**
 * A chart as SVG that follows the reader's light or dark scheme. A linear one has bars, which begin at nought; on a logarithmic
 * one a bar's length would mean nothing, so there are points.
 */
export function svg(chart: Chart): string {
  const { groups, series, scale: kind, title, unit } = chart
  const all = series.flatMap(({ values }) => values.filter((value): value is number => value !== null))
  const positive = all.filter((value) => value > 0)
  const most = Math.max(1e-9, ...all)
  const scale =
    kind === 'log'
      ? scaleLog([Math.min(most, ...positive) / 1.5, most * 1.2], [left, right]).nice()
      : scaleLinear([0, most], [left, right]).nice()
  const bottom = top + groups.length * (heading + series.length * line)
  const ticks = (kind === 'log' ? decades(scale.ticks()) : scale.ticks(6)).map((tick) => {
    const x = round(scale(tick))
    return `<line class="grid" x1="${x}" x2="${x}" y1="${top - 8}" y2="${bottom}"/>
<text class="faint" x="${x}" y="${top - 14}" text-anchor="middle">${short(tick)}</text>`
  })
  const mark = (name: string, value: number | null, s: number, y: number): string => {
    const middle = y + line / 2
    const label = `<text x="${labels}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>`
    if (value === null) return `${label}\n<text class="faint" x="${left}" y="${middle + 4}">not measured</text>`
    const x = value > 0 ? round(scale(value)) : left
    const colour = colours[s % colours.length]
    const shape =
      kind === 'log'
        ? `<line x1="${left}" x2="${x}" y1="${middle}" y2="${middle}" stroke="${colour}" stroke-opacity="0.45" stroke-width="2"/><circle cx="${x}" cy="${middle}" r="5" fill="${colour}"/>`
        : `<rect x="${left}" y="${y + 4}" width="${round(x - left)}" height="${line - 8}" rx="2" fill="${colour}"/>`
    return `${label}\n${shape}\n<text x="${x + 9}" y="${middle + 4}">${escaped(number(value))}</text>`
  }
  const marks = groups.flatMap((group, g) => {
    const y = top + g * (heading + series.length * line)
    const head = `<text class="group" x="8" y="${y + 20}">${escaped(group)}</text>`
    return [head, ...series.map((one, s) => mark(one.name, one.values[g] ?? null, s, y + heading + s * line))]
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 12}" role="img" aria-label="${escaped(title)}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 } .group { font-weight: 600 } .faint { fill: #59636e } .grid { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .faint { fill: #9198a1 } .grid { stroke: #3d444d } }
</style>
<title>${escaped(title)}</title>
<text class="title" x="8" y="22">${escaped(title)}</text>
<text class="faint" x="8" y="${top - 14}">${escaped(unit)}${kind === 'log' ? ', logarithmic' : ''}</text>
${[...ticks, ...marks].join('\n')}
</svg>
`
}

function decades(ticks: readonly number[]): number[] {
  return ticks.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e6) / 1e6))
}

function short(value: number): string {
  return value.toLocaleString('en', { notation: 'compact', maximumSignificantDigits: 3 })
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
