import { same } from './canonical.ts'
import type { Offence, Report } from './check.ts'
import { picture, type Shown, windowOf } from './picture.ts'
import { describe, escapeHtml, type TimeUnit, timeText, valueText } from './wording.ts'

export interface TimelineOptions {
  /** The unit of the history's times. Nanoseconds by default. */
  readonly unit?: TimeUnit | undefined
}

/**
 * A report as one HTML page that needs nothing else and runs no script: per offending key (at most 20), what cannot be
 * placed and why, the operations around it as a picture, and the same as a table. Keys and values are escaped.
 */
export function timeline<State, Input, Output>(
  report: Report<State, Input, Output>,
  { unit = 'ns' }: TimelineOptions = {},
): string {
  const { verdict, operations, checked, dropped, unknown, clients, keys, illegal, undecided } = report
  const numbers = { operations, checked, dropped, unknown, clients, keys, illegal, undecided }
  const counts = Object.entries(numbers).map(([name, count]) => `<div><dt>${name}</dt><dd>${count}</dd></div>`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>History: ${verdict}</title>
<style>${style}</style>
</head>
<body>
<header><h1>History: <span class="${verdict}">${verdict}</span></h1><dl>${counts.join('')}</dl></header>
${verdict === 'ok' ? '<p>Every key has an order in which each operation took effect between its call and its return.</p>' : legend}
${report.offending.map((offence) => section(offence as Offence<unknown, unknown, unknown>, unit)).join('\n')}
</body>
</html>
`
}

function section(offence: Offence<unknown, unknown, unknown>, unit: TimeUnit): string {
  const { key, verdict, operation, states, placed, history } = offence
  const shown = windowOf(offence)
  const values = states.map((state) => `<code>${escapeHtml(valueText(state))}</code>`)
  const what = `<b>client ${escapeHtml(valueText(operation.client))}</b>, <code>${escapeHtml(describe(operation))}</code>`
  const found = verdict === 'illegal' ? 'No order can place' : 'The budget ended before an order was found that places'
  const state =
    values.length === 0
      ? ''
      : ` Where it has to take its turn, ${values.length === 1 ? `the value is ${values[0]}` : `the value is one of ${values.join(', ')}`}${verdict === 'illegal' ? '' : ', as far as was tried'}.`
  return `<section>
<h2>Key <code>${escapeHtml(valueText(key))}</code> <span class="${verdict}">${verdict}</span></h2>
<p>${found} ${what} (${escapeHtml(timeText(operation.call, unit))} to ${escapeHtml(timeText(operation.return!, unit))}) together with all that
returned before it.${state}${originOf(offence)}</p>
<p class="small">${placed.length} of the ${history.length} operations of this key are placed; the picture shows ${shown.length} around
the one that is not. Hover over one to see all of it.</p>
${picture(offence, shown, unit)}
${table(shown, unit)}
</section>`
}

/** Where the answer comes from, if the order that was found has an operation that left this value. */
function originOf({ operation, placed }: Offence<unknown, unknown, unknown>): string {
  if (operation.output === undefined || typeof operation.output === 'boolean') return ''
  for (let at = placed.length - 1; at >= 0; at--) {
    const { input, output } = placed[at]!
    const { op, value, to } = Object(input) as Readonly<Record<string, unknown>>
    const left = op === 'put' ? value : op === 'cas' && output !== false ? to : op === 'append' ? output : undefined
    if (left === undefined || !same(left, operation.output)) continue
    const writer = `client ${escapeHtml(valueText(placed[at]!.client))}, <code>${escapeHtml(describe(placed[at]!))}</code>`
    return ` Its answer was left by ${writer}, at place ${at + 1} of ${placed.length}.`
  }
  return ' No operation that is placed left its answer.'
}

function table(shown: readonly Shown[], unit: TimeUnit): string {
  const rows = shown.map(
    ({ operation, kind, place }) =>
      `<tr class="${kind}"><td>${place ?? ''}</td><td>${escapeHtml(valueText(operation.client))}</td><td><code>${escapeHtml(describe(operation))}</code></td>` +
      `<td>${escapeHtml(timeText(operation.call, unit))}</td><td>${operation.ok === 'unknown' ? 'never' : escapeHtml(timeText(operation.return!, unit))}</td>` +
      `<td>${kinds[kind]}</td></tr>`,
  )
  return `<details><summary>The same as a table</summary><table>
<thead><tr><th>order</th><th>client</th><th>operation: answer</th><th>call</th><th>return</th><th></th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></details>`
}

const kinds: Readonly<Record<Shown['kind'], string>> = {
  stuck: 'cannot be placed',
  placed: 'placed',
  open: 'was open, not placed',
  unknown: 'outcome unknown',
  after: 'began later',
}

const legend = `<p class="legend">${Object.entries(kinds)
  .map(([kind, text]) => `<span class="${kind}"><i></i>${text}</span>`)
  .join('')} <span><b>①</b>the longest order found, through one instant of each operation</span></p>`

const style = `
:root { color-scheme: light dark; --ink: #1d2430; --soft: #69727f; --paper: #fdfdfc; --rule: #e3e5e8;
  --placed: #b9dfd2; --placed-line: #2f8f73; --open: #e9ebef; --open-line: #9aa3b0; --stuck: #f6b8b1; --stuck-line: #c42b1c;
  --unknown: #f7e2ae; --unknown-line: #b27b09; --order: #2f6fce }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9ef; --soft: #98a2b0; --paper: #15181d; --rule: #2b3038;
  --placed: #1f4f41; --placed-line: #4fb897; --open: #2a2f37; --open-line: #6d7683; --stuck: #6e211a; --stuck-line: #ff7466;
  --unknown: #57420f; --unknown-line: #dba736; --order: #7fb0ff } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; padding: 24px; max-width: 1240px }
h1, h2 { font-weight: 600; margin: 0 } h1 { font-size: 22px } h2 { font-size: 18px }
header { display: flex; flex-wrap: wrap; gap: 8px 32px; align-items: baseline; border-bottom: 1px solid var(--rule); padding-bottom: 12px }
dl { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0; font-size: 13px } dl div { display: flex; gap: 6px }
dt { color: var(--soft) } dd { margin: 0; font-variant-numeric: tabular-nums }
section { margin-top: 32px } code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere }
.ok { color: var(--placed-line) } .illegal { color: var(--stuck-line) } .undecided { color: var(--unknown-line) }
.small, .legend { color: var(--soft); font-size: 13px } .legend span { margin-right: 20px; white-space: nowrap }
.legend i { display: inline-block; width: 22px; height: 11px; border-radius: 3px; margin-right: 6px; border: 1px solid }
.placed i { background: var(--placed); border-color: var(--placed-line) } .stuck i { background: var(--stuck); border-color: var(--stuck-line) }
.open i { background: var(--open); border-color: var(--open-line) } .after i { border-color: var(--open-line) }
.unknown i { background: var(--unknown); border-color: var(--unknown-line) } .legend b { color: var(--order); margin-right: 6px }
svg { width: 100%; height: auto; border: 1px solid var(--rule); border-radius: 8px; font: 11.5px ui-monospace, monospace }
svg text { fill: var(--ink) } svg .axis { fill: var(--soft) } svg .client { font-family: system-ui, sans-serif; font-size: 12.5px }
.tick { stroke: var(--rule) } .lane { stroke: var(--rule); stroke-width: 2 } .until { stroke: var(--stuck-line); stroke-dasharray: 3 4 }
rect { stroke-width: 1.2 } .op:hover rect { stroke-width: 2.6 } .on { fill: none; stroke: var(--unknown-line); stroke-width: 1.6 }
g.placed rect { fill: var(--placed); stroke: var(--placed-line) } g.open rect { fill: var(--open); stroke: var(--open-line) }
g.after rect { fill: none; stroke: var(--open-line); stroke-dasharray: 3 2 } g.after text { fill: var(--soft) }
g.stuck rect { fill: var(--stuck); stroke: var(--stuck-line); stroke-width: 2 } g.stuck text { fill: var(--stuck-line); font-weight: 700 }
g.unknown rect { fill: var(--unknown); stroke: var(--unknown-line); stroke-dasharray: 5 3 }
.order { fill: none; stroke: var(--order); stroke-width: 1.4; opacity: .65; pointer-events: none }
.point { fill: var(--paper); stroke: var(--order); stroke-width: 1.3; pointer-events: none } svg .place { font-size: 9px; fill: var(--order); pointer-events: none }
details { margin-top: 10px; font-size: 13px } summary { cursor: pointer; color: var(--soft) }
table { border-collapse: collapse; margin-top: 8px } th, td { text-align: left; padding: 3px 18px 3px 0; border-bottom: 1px solid var(--rule); vertical-align: top }
th { color: var(--soft); font-weight: 500 } tr.stuck td { color: var(--stuck-line) } td { font-variant-numeric: tabular-nums }
`
