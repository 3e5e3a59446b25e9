export type { Json } from './canonical.ts'
export {
  type Checker,
  checkHistory,
  createChecker,
  type Limits,
  type Offence,
  type Report,
  type Verdict,
} from './check.ts'
export { HistoryError, type Operation } from './history.ts'
export { type Command, keyValue, type Stored } from './key-value.ts'
export { checkOrder, type OrderOffence, type OrderReport } from './log-order.ts'
export { illegal, type Model } from './model.ts'
export { formatLine, type KeyValueOperation, lineMax, parseHistory, parseLine } from './ndjson.ts'
export { type TimelineOptions, timeline } from './timeline.ts'
export type { TimeUnit } from './wording.ts'
