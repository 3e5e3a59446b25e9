import type { Offence } from './check.ts'
import type { Operation } from './history.ts'
import { describe, escapeHtml, type TimeUnit, timeText } from './wording.ts'

type Op = Operation<unknown, unknown>

/** An operation that the picture shows. */
export interface Shown {
  readonly operation: Op
  readonly kind: 'stuck' | 'placed' | 'open' | 'after' | 'unknown'
  /** Its place in the order that was found, from 1, and the instant that is given to it there. */
  readonly place?: number
  readonly instant?: number
}

const placedShown = 12
const shownMax = 60
const lanesMax = 24

/** The operations around the one that is stuck: what was placed last, what was open, and what began soon after. */
export function windowOf({ operation, placed, history }: Offence<unknown, unknown, unknown>): Shown[] {
  const instants = instantsOf(placed)
  const from = Math.min(operation.call, ...instants.slice(-placedShown))
  const to = endOf(operation) + (endOf(operation) - from) * 0.06
  const places = new Map(placed.map((one, i) => [one, i]))
  const shown: Shown[] = []
  for (const candidate of history) {
    const place = places.get(candidate)
    const instant = place === undefined ? undefined : instants[place]
    // An unknown outcome is open for ever: only those that take part here are shown.
    const end = candidate.ok === 'unknown' ? (instant ?? candidate.call) : endOf(candidate)
    if (candidate.call > to || end < from) continue
    shown.push({
      operation: candidate,
      kind: kindOf(candidate, operation, place !== undefined),
      ...(place !== undefined && { place: place + 1, instant: instants[place]! }),
    })
  }
  const distance = ({ operation: { call }, instant = call }: Shown): number =>
    call === operation.call ? 0 : Math.min(Math.abs(operation.call - instant), Math.abs(operation.call - call))
  const nearest = shown.sort((a, b) => distance(a) - distance(b)).slice(0, shownMax)
  return nearest.sort((a, b) => a.operation.call - b.operation.call)
}

function kindOf(candidate: Op, stuck: Op, isPlaced: boolean): Shown['kind'] {
  if (candidate === stuck) return 'stuck'
  if (candidate.ok === 'unknown') return 'unknown'
  if (isPlaced) return 'placed'
  return candidate.call > endOf(stuck) ? 'after' : 'open'
}

/** One instant per operation, inside its interval, in the order given, as far apart as is easy. */
function instantsOf(placed: readonly Op[]): number[] {
  const latest: number[] = []
  for (let i = placed.length - 1; i >= 0; i--) {
    latest[i] = Math.min(latest[i + 1] ?? Number.POSITIVE_INFINITY, endOf(placed[i]!))
  }
  let last = Number.NEGATIVE_INFINITY
  return placed.map(({ call }, i) => {
    const earliest = Math.max(last, call)
    // A tail of unknown outcomes has no end.
    last = latest[i] === Number.POSITIVE_INFINITY ? earliest : earliest + (latest[i]! - earliest) * 0.3
    return last
  })
}

function endOf(operation: Op): number {
  return operation.ok === 'unknown' ? Number.POSITIVE_INFINITY : operation.return!
}

const layout = { left: 120, right: 36, width: 1180, top: 46, lane: 46, bar: 16, letter: 6.7 }

/** The window as SVG: a lane per client, a bar per operation, a line through the order that was found. */
export function picture(offence: Offence<unknown, unknown, unknown>, shown: readonly Shown[], unit: TimeUnit): string {
  const { left, right, width, top, lane, bar } = layout
  const clients = [...new Set([offence.operation.client, ...shown.map(({ operation }) => operation.client)])].slice(
    0,
    lanesMax,
  )
  clients.sort((a, b) => firstCall(shown, a) - firstCall(shown, b))
  const visible = shown.filter(({ operation }) => clients.includes(operation.client))

  const stuckEnd = offence.operation.return ?? offence.operation.call
  // What began long before is cut off at the left.
  const inside = visible.flatMap(({ operation: { call, ok }, instant = call }) =>
    ok === 'unknown' ? [instant] : [call, instant],
  )
  const begin = Math.min(...inside)
  const end = Math.max(stuckEnd, ...inside)
  const span = (end - begin || 1) * 1.04
  const x = (time: number): number =>
    round(left + ((Math.max(begin, Math.min(time, begin + span)) - begin) / span) * (width - left - right))
  const y = (operation: Op): number => top + clients.indexOf(operation.client) * lane + lane - bar - 6
  const height = top + clients.length * lane + 12

  const parts: string[] = []
  for (const time of ticks(begin, begin + span)) {
    parts.push(
      `<line class="tick" x1="${x(time)}" x2="${x(time)}" y1="${top - 12}" y2="${height - 8}"/>`,
      `<text class="axis" x="${x(time)}" y="${top - 18}" text-anchor="middle">${escapeHtml(timeText(time, unit))}</text>`,
    )
  }
  clients.forEach((client, i) => {
    const middle = top + i * lane + lane - bar / 2 - 6
    parts.push(
      `<line class="lane" x1="${left}" x2="${width - right}" y1="${middle}" y2="${middle}"/>`,
      `<text class="client" x="${left - 12}" y="${middle + 4}" text-anchor="end">${escapeHtml(`client ${short(String(client), 10)}`)}</text>`,
    )
  })
  parts.push(`<line class="until" x1="${x(stuckEnd)}" x2="${x(stuckEnd)}" y1="${top - 12}" y2="${height - 8}"/>`)

  const inLane = new Map<string | number, Shown[]>()
  for (const one of visible) inLane.set(one.operation.client, [...(inLane.get(one.operation.client) ?? []), one])
  for (const ofClient of inLane.values()) {
    ofClient.forEach(({ operation, kind }, i) => {
      const [from, to] = [x(operation.call), x(endOf(operation))]
      const following = ofClient[i + 1]
      const room = (following === undefined ? width - 6 : x(following.operation.call)) - from - 6
      const label = describe(operation)
      const level = y(operation)
      parts.push(
        `<g class="op ${kind}"><title>${escapeHtml(tooltip(operation, unit))}</title>`,
        `<rect x="${from}" y="${level}" width="${Math.max(4, round(to - from))}" height="${bar}" rx="4"/>`,
        endOf(operation) > begin + span ? `<path class="on" d="M${to - 9} ${level + 3.5}l5 4.5l-5 4.5"/>` : '',
        `<text x="${from + 1}" y="${level - 5}">${escapeHtml(short(label, Math.floor(room / layout.letter)))}</text></g>`,
      )
    })
  }

  const points = visible
    .filter(({ place, instant }) => place !== undefined && instant! >= begin)
    .sort((a, b) => a.place! - b.place!)
    .map(({ operation, instant, place }) => ({ x: x(instant!), y: y(operation) + bar / 2, place: place! }))
  const path = points.map((point) => `${point.x},${point.y}`).join(' ')
  if (points.length > 1) parts.push(`<polyline class="order" points="${path}"/>`)
  for (const point of points) {
    parts.push(
      `<circle class="point" cx="${point.x}" cy="${point.y}" r="8"/>`,
      `<text class="place" x="${point.x}" y="${point.y + 3.4}" text-anchor="middle">${point.place}</text>`,
    )
  }
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Operations over time, a lane per client">${parts.join('')}</svg>`
}

function tooltip(operation: Op, unit: TimeUnit): string {
  const { client, call, ok } = operation
  const when =
    ok === 'unknown'
      ? `called ${timeText(call, unit)}, outcome unknown`
      : `called ${timeText(call, unit)}, returned ${timeText(operation.return!, unit)}`
  return `client ${client}: ${describe(operation, 400)}\n${when}${operation.index === undefined ? '' : `, log index ${operation.index}`}`
}

function firstCall(shown: readonly Shown[], client: string | number): number {
  return Math.min(
    ...shown.filter(({ operation }) => operation.client === client).map(({ operation }) => operation.call),
  )
}

function short(text: string, length: number): string {
  if (text.length <= length) return text
  return length < 3 ? '' : `${text.slice(0, length - 1)}…`
}

/** About seven round times. */
function ticks(begin: number, end: number): number[] {
  const rough = (end - begin) / 7
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10)
  const found: number[] = []
  for (let i = Math.ceil(begin / step); i * step <= end && found.length < 20; i++) found.push(i * step)
  return found
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
