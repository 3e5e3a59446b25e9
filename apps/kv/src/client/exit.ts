/** How a command ends. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** A precondition did not hold: nothing was changed. */
  precondition: 3,
  notFound: 4,
  /** No member could do it now: nothing was changed. */
  unhealthy: 5,
  /** It may or may not have happened: look before you try again. */
  unknown: 6,
} as const

/** The command was called wrongly. */
export class UsageError extends Error {}
