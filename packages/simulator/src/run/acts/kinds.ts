/** What the network does to packets all the time, at the rates of the plan's weather. */
export const weatherKinds = ['loss', 'duplicate', 'replay', 'reorder'] as const

export const networkKinds = [
  'cut',
  'partition',
  'ring',
  'bridge',
  'isolate-leader',
  'deafen-leader',
  'swizzle',
  'storm',
  'trickle',
  'reset',
] as const

export const processKinds = [
  'kill',
  'kill-leader',
  'kill-between-effects',
  'kill-all',
  'blackout',
  'restart',
  'pause',
  'pause-leader',
  'stall-between-effects',
  'slow',
  'wipe',
] as const

export const diskKinds = [
  'disk-stall',
  'disk-slow',
  'disk-error',
  'disk-full',
  'rot-record',
  'rot-blob',
  'rot-state',
  'misdirect-record',
  'misdirect-blob',
] as const

export const clockKinds = ['clock-drift', 'wall-jump'] as const

/** What an operator asks of the cluster. */
export const operatorKinds = [
  'add-voter',
  'add-learner',
  'promote',
  'demote',
  'remove',
  'replace',
  'change-many',
  'transfer',
  'snapshot',
] as const

export type ActKind =
  | (typeof networkKinds)[number]
  | (typeof processKinds)[number]
  | (typeof diskKinds)[number]
  | (typeof clockKinds)[number]
  | (typeof operatorKinds)[number]

export const actKinds: readonly ActKind[] = [
  ...networkKinds,
  ...processKinds,
  ...diskKinds,
  ...clockKinds,
  ...operatorKinds,
]
